/// What a request comes to, in words of the tense its state asks for: before it is carried out nothing of it has happened, and
/// where it came to nothing, nothing will. The sentence of a plan stands in the present tense whenever it is read, so `preface`
/// goes before it.
public struct OutcomeTense: Sendable {
    /// Above all of it.
    public let title: String
    /// Before the sentence that says what comes of it, and on its own line.
    public let preface: String
    /// Above the values that differ.
    public let changes: String
    /// Above who hears of it.
    public let sent: String
    /// Beside each that hears of it.
    public let sending: String
    /// Above the rules and who signed.
    public let agreement: String

    public init(_ state: ApprovalRequest.State) {
        if state.isLive {
            title = "What it would do"
            preface = "Nothing has been changed yet. When it is carried out:"
            changes = "What would change"
            sent = "What would be sent"
            sending = "when it runs"
            agreement = "Who must agree"
        } else if state == .executed {
            title = "What it did"
            preface = "It was carried out:"
            changes = "What changed"
            sent = "What was sent"
            sending = "when it ran"
            agreement = "Who agreed"
        } else {
            title = "What it would have done"
            preface = "This did not happen:"
            changes = "What would have changed"
            sent = "What would have been sent"
            sending = "not sent"
            agreement = "Who had to agree"
        }
    }
}

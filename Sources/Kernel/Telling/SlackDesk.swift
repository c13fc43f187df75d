/// A slash command as Slack sends it, once its signature was found right.
public struct SlackCommand: Sendable {
    /// Slack's ids, `T…` and `U…`.
    public let team: String
    public let user: String
    /// What people call them there; only shown, never believed.
    public let teamName: String
    public let userName: String
    /// What was typed behind the command.
    public let text: String

    public init(team: String, user: String, teamName: String, userName: String, text: String) {
        self.team = team
        self.user = user
        self.teamName = teamName
        self.userName = userName
        self.text = text
    }
}

/// An account of Slack that asks to be somebody's.
public struct SlackOffer: Sendable {
    public let userName: String
    public let teamName: String
    public let user: String
    public let team: String
    public init(userName: String, teamName: String, user: String, team: String) {
        self.userName = userName
        self.teamName = teamName
        self.user = user
        self.team = team
    }
}

/// What comes from Slack, as the listeners need it. Nothing that decides anything is done there: it looks up, and leads here.
public protocol SlackDesk: Sendable {
    /// Whether Slack sent this, lately, and for the first time. MUST be asked once for each request.
    func admits(_ signature: String?, timestamp: String?, body: [UInt8]) async throws(OperationError) -> Bool
    /// The answer that only who asked sees, as Slack takes it.
    func answer(_ command: SlackCommand, requestID: String) async throws(OperationError) -> JSON
    /// What a link that the command answered leads to; `.notFound` when its time is over or it was used.
    func offer(_ token: String) async throws(OperationError) -> SlackOffer
    /// Makes the account of Slack the signed-in person's. Needs a fresh factor; works once.
    func link(_ token: String, to session: SessionInfo, by caller: Caller) async throws(OperationError)
    /// Ends one of the person's own links.
    func unlink(_ id: String, of session: SessionInfo, by caller: Caller) async throws(OperationError)
}

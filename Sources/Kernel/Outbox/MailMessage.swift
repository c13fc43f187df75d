/// A mail as it is handed to the courier: made of ids when it is sent, and kept nowhere.
public struct MailMessage: Sendable, Hashable {
    /// An address alone.
    public let to: String
    public let subject: String
    public let text: String
    public let html: String

    public init(to: String, subject: String, text: String, html: String) {
        self.to = to
        self.subject = subject
        self.text = text
        self.html = html
    }

    /// Reads what `body` wrote.
    public init?(_ body: [UInt8]) {
        guard let json = try? JSON(parsing: body), let to = json["to"]?.string, let subject = json["subject"]?.string,
            let text = json["text"]?.string, let html = json["html"]?.string
        else { return nil }
        self.init(to: to, subject: subject, text: text, html: html)
    }

    /// As a parcel carries it.
    public var body: [UInt8] {
        JSON.object(["to": .string(to), "subject": .string(subject), "text": .string(text), "html": .string(html)])
            .canonical
    }
}

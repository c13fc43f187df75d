import HTML
import Kernel

/// What deliveries are called where people read of them; their codes stand beside.
enum DeliveryWords {
    /// "Tenant suspended"; of a mail its subject.
    static func title(_ name: String) -> String {
        if let known = others[name] { return known }
        if let notice = MailNotice(rawValue: name) {
            return "“\(notice.words(MailNotice.Facts(at: Instant(microseconds: 0))).subject)”"
        }
        return DocumentDiff.label(name.replacing(".", with: "_"))
    }

    /// What no event's name says.
    private static let others = [
        WebhookEvent.test: "Test notice", "registry.imported": "Import ended",
        "slack.events": "What happened, for the staff channel", "slack.root": "Signed root, for the staff channel",
        "slack.test": "Test of the staff channel", SlackRequests.asks: "Request to sign, for the staff channel",
        SlackRequests.reminds: "Reminder of a request, for the staff channel",
        SlackRequests.ends: "End of a request, for the staff channel",
    ]

    /// The cell that names a delivery in a list.
    static func cell(_ delivery: Delivery) -> Node {
        UI.coded(el("a", .href("/deliveries/\(delivery.id)")) { title(delivery.name) }, delivery.name)
    }
}

/// The people deliveries are about or for, as far as whoever looks may know them: colleagues, and customers' people for those who
/// may look at them.
struct DeliveryPeople: Sendable {
    /// A customer's person, by the row of the outbox.
    private let users: [String: String]
    private let people: PeopleNames

    /// - Parameter tenant: what all of it is about; `nil` where that is several or none.
    init(
        of deliveries: [Delivery], about tenant: String? = nil, _ catalog: Catalog, for caller: Caller,
        from reader: any Reader
    ) throws {
        var users: [String: String] = [:]
        let notices = Set(deliveries.filter { $0.channel == .webhook }.map(\.outboxID)).sorted()
        // What was told is forgotten some time after it arrived: then only the tenant is known.
        for row in notices.isEmpty ? [] : try reader.query(DeliveryQueries.payloads(notices)) {
            if let user = try row.json("payload")["user"]?.string { users[try row.string("id")] = user }
        }
        self.users = users
        let recipients = deliveries.compactMap { Endpoint.recipient($0.webhookID) }
        people = try PeopleNames(
            of: Set(users.values).union(recipients), about: tenant, catalog, for: caller, from: reader)
    }

    /// The customer's person a notice tells of, where whoever looks may know their name.
    func user(of delivery: Delivery) -> (id: String, name: String)? {
        guard let id = users[delivery.outboxID], let name = people.names[id] else { return nil }
        return (id, name)
    }

    /// Whom a mail is for: "the CISO", or a colleague by name.
    func recipient(of delivery: Delivery) -> String? {
        guard let id = Endpoint.recipient(delivery.webhookID) else { return nil }
        return id == Endpoint.ciso ? "the CISO" : people.names[id] ?? "a colleague"
    }

    /// That customers' people were shown; `nil` where none were.
    func disclosure(tenant: String? = nil) -> Disclosure? {
        people.users.isEmpty
            ? nil : Disclosure("user.list", tenant: tenant, count: people.users.count, ids: people.users)
    }
}

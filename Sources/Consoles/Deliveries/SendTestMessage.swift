import HTML
import Kernel

/// Tries the staff channel or mail with a message that means nothing.
public enum SendTestMessage: Operation {
    public typealias Target = Delivery
    public static let spec = OperationSpec(
        "delivery.send_test", "Send test",
        summary: "Posts a test into the staff channel, or mails one to yourself.", permission: "delivery.replay",
        risk: .low)
    public static let creates = true

    public struct Input: OperationInput {
        @Param(
            "Channel", .choices(["slack", "mail"]), help: "The staff channel in Slack, or a mail to your own address.")
        public var channel: String
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { input.channel }
    public static let declaresConcerns = true

    static let choices = [
        Field.Choice("slack", "Slack", note: "A message in the staff channel."),
        Field.Choice("mail", "Mail", note: "A mail to your own address."),
    ]

    /// Whether a server is set up for the channel.
    public static func gather(_ input: Input, _ target: Delivery?, from reader: any Reader) throws -> Bool {
        guard let channel = DeliveryChannel(rawValue: input.channel) else { return false }
        return try ChannelState.isOn(channel, reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Delivery> {
        let isMail = call.input.channel == DeliveryChannel.mail.rawValue
        guard call.facts else {
            throw .field(
                "channel",
                isMail
                    ? "No server sends mail. \(ChannelPanel.settings(of: .mail))"
                    : "No server is connected to Slack. \(ChannelPanel.settings(of: .slack))")
        }
        guard !isMail || call.person.hasPrefix("stf_") else {
            throw .field("channel", "Only a person has a mailbox.")
        }
        let endpoint = isMail ? Endpoint.mail(to: call.person) : Endpoint.slack
        let name = isMail ? MailNotice.test.rawValue : "slack.test"
        let outbox = call.fresh.id("out")
        let delivery = Delivery(
            id: call.fresh.id("dlv"), version: 1, outboxID: outbox, webhookID: endpoint, eventID: call.eventID,
            name: name, tenantID: nil, tenantVersion: nil, state: .pending, createdAt: call.now, settledAt: nil)
        return Plan(
            delivery,
            alsoWrite: [
                ChannelQueries.outboxRow(
                    outbox, event: call.eventID, kind: delivery.channel, name: name, payload: .object([:]), at: call.now
                ),
                OutboxQueries.openLane(delivery.lane, webhook: endpoint, at: call.now),
                OutboxQueries.enqueueLast(delivery.id, lane: delivery.lane),
            ],
            effects: [
                Effect(
                    kind: call.input.channel, name: name,
                    summary: isMail ? "A mail to your own address" : "A message in the staff channel",
                    payload: .object([:]), tenant: nil, isWritten: true)
            ], facts: ["channel": .string(call.input.channel)],
            consequence: isMail
                ? "A test is mailed to you; what the mail server said stands under Deliveries in a moment."
                : "A test is posted into the staff channel; what Slack said stands under Deliveries in a moment.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("What was sent can't be taken back.") }
}

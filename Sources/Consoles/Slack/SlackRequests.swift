import Kernel

/// Messages about requests in the staff channel: one when a signature is asked for, one reminder, and the first is changed when the
/// request has ended, where a bot posted it. They wait in the channel's lane with everything else.
final class SlackRequests: Sendable {
    static let asks = "slack.request"
    static let reminds = "slack.request_reminder"
    static let ends = "slack.request_ended"

    private let pipeline: Pipeline
    private let clock: Clock

    init(pipeline: Pipeline, clock: Clock) {
        self.pipeline = pipeline
        self.clock = clock
    }

    func ask(_ request: ApprovalRequest, of event: String, _ tx: any Writer) throws -> Bool {
        try queue(Self.asks, ["approval": .string(request.id)], of: event, tx)
    }

    func remind(_ request: ApprovalRequest, of event: String, _ tx: any Writer) throws -> Bool {
        try queue(Self.reminds, ["approval": .string(request.id)], of: event, tx)
    }

    /// Changes the message of a request that asks nobody any more; one that was not posted yet says so by itself.
    func ended(_ request: ApprovalRequest, of event: String, _ tx: any Writer) throws -> Bool {
        guard !request.state.isDue, let row = try tx.first(SlackQueries.takeMessage(of: request.id)) else {
            return false
        }
        return try queue(
            Self.ends, ["approval": .string(request.id), "ts": .string(row.string("ts"))], of: event, tx)
    }

    /// A message arrived: where it stands is kept while it may have to be changed.
    func posted(_ delivery: String, at ts: String, _ tx: any Writer) throws {
        guard let row = try tx.first(SlackQueries.told(delivery)), try row.string("name") == Self.asks,
            let id = try row.json("payload")["approval"]?.string, let request = try ApprovalRequest.load(id, from: tx)
        else { return }
        if request.isOpen(at: tx.now) || request.state.isDue {
            tx.enqueue(SlackQueries.keep(ts, of: id, at: tx.now))
        } else {
            // It ended while the message was under way.
            _ = try queue(
                Self.ends, ["approval": .string(id), "ts": .string(ts)], of: row.string("event_id"), tx)
        }
    }

    /// Answers whether the channel is on.
    private func queue(_ name: String, _ payload: JSON, of event: String, _ tx: any Writer) throws -> Bool {
        guard try ChannelState.isOn(.slack, tx) else { return false }
        try SlackMirror.queue(name, payload, event: event, at: clock.now, pipeline.records, tx)
        return true
    }
}

/// How many things people have not read yet, as far as it changed.
public struct InboxNews: Sendable, Equatable {
    /// What to ask with next.
    public let mark: Int64
    /// By person.
    public let unread: [String: Int64]
    public init(mark: Int64, unread: [String: Int64]) {
        self.mark = mark
        self.unread = unread
    }
}

/// Who could sign, and who of them is there.
public struct OnShift: Sendable, Equatable {
    /// How lately somebody must have used a session to count as being there.
    public static let lately = Span.minutes(30)

    /// Names of those who used a session lately, in order.
    public let present: [String]
    /// How many could sign at all.
    public let able: Int
    /// Notices go out by mail, too.
    public let sendsMail: Bool

    public init(present: [String], able: Int, sendsMail: Bool) {
        self.present = present
        self.able = able
        self.sendsMail = sendsMail
    }
}

/// Whom an operation tells beside what it sends itself, as lines for who does it: notices in inboxes, and what goes by itself to
/// the channels of this deployment.
public struct ToldBeside: Sendable, Equatable {
    /// At once, where others must agree first.
    public let asking: [Effect]
    /// When it is carried out.
    public let done: [Effect]

    public init(asking: [Effect], done: [Effect]) {
        self.asking = asking
        self.done = done
    }
}

/// What people are told, as the listeners need it. Reading state is a person's own and changes nothing that anybody decides by,
/// so none of this is an operation, and nothing of it is recorded.
public protocol Inboxes: Sendable {
    /// Marks one as read; false when there is none of this person's with the id.
    func markRead(_ id: String, of person: String) async throws(OperationError) -> Bool
    /// Marks everything as read that was there at a time.
    /// - Returns: how many were unread.
    func markAllRead(of person: String, until: Instant) async throws(OperationError) -> Int
    /// Who has other numbers than at a mark, and the numbers of these people in any case, in one snapshot.
    /// - Parameter mark: `nil` asks for the mark alone.
    func news(since mark: Int64?, andOf people: [String]) async throws(OperationError) -> InboxNews
    /// Those of these sessions that are still going on. Asking is no use of them.
    func live(_ sessions: [String]) async throws(OperationError) -> Set<String>
    /// Who could fill a leaf of these, and is there.
    func onShift(for needs: [ApprovalNeed], askedBy person: String) async throws(OperationError) -> OnShift
    /// Whom it would tell, by what a preview of it says.
    func foretold(_ preview: Preview, by caller: Caller) async throws(OperationError) -> ToldBeside
    /// Whom something that was done told or tells, by what its event recorded.
    func told(of applied: Applied, by caller: Caller) async throws(OperationError) -> [Effect]
}

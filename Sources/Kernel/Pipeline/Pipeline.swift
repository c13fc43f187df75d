/// The only code that changes anything.
public struct Pipeline: Sendable {
    /// An inverse operation, ready to be previewed and confirmed.
    public struct UndoOffer: Sendable {
        public let request: OperationRequest
        public let until: Instant
        public init(request: OperationRequest, until: Instant) {
            self.request = request
            self.until = until
        }
    }

    public let database: any Database
    public let records: any Records
    public let catalog: Catalog

    public init(database: any Database, records: any Records, catalog: Catalog) {
        self.database = database
        self.records = records
        self.catalog = catalog
    }

    /// Carries an operation out, or stores the request for approval.
    public func run(_ request: OperationRequest, by caller: Caller) async throws(OperationError) -> Outcome {
        throw .internalError("not written yet")
    }

    /// Says what an operation would do. Writes nothing but one `access` event.
    public func preview(_ request: OperationRequest, by caller: Caller) async throws(OperationError) -> Preview {
        throw .internalError("not written yet")
    }

    /// The inverse of what an event recorded, ready to be previewed; throws `.conflict` with the reason when there is none.
    public func undoOffer(for eventID: String, by caller: Caller) async throws(OperationError) -> UndoOffer {
        throw .internalError("not written yet")
    }

    /// Reads under a permission (`nil`: any signed-in person) in a READ ONLY transaction, and records the disclosure
    /// before returning.
    public func read<T: Sendable>(
        _ permission: String?, by caller: Caller,
        _ body: @escaping @Sendable (any Reader) throws -> (T, Disclosure?)
    ) async throws(OperationError) -> T {
        throw .internalError("not written yet")
    }

    /// Records events that are not operations (sign-ins, denials) in one transaction with `also`.
    public func record(_ drafts: [EventDraft], also statements: [Statement] = []) async throws(OperationError) {
        throw .internalError("not written yet")
    }

    /// Records that `caller` lacked a permission; five within ten minutes by one person raise a security event.
    public func recordDenial(_ permission: String, operation: String, by caller: Caller) async throws(OperationError) {
        throw .internalError("not written yet")
    }
}

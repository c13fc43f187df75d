/// What a declared read is asked.
public struct ReadCall: Sendable {
    /// Path parameters by name.
    public let path: [String: String]
    /// Query parameters by name; a repeated one has several values.
    public let query: [String: [String]]
    public let caller: Caller
    public let cursors: CursorCodec
    /// It becomes a file: what a page tells a part of is told whole.
    public let isExport: Bool

    public init(
        path: [String: String], query: [String: [String]], caller: Caller, cursors: CursorCodec, isExport: Bool = false
    ) {
        self.path = path
        self.query = query
        self.caller = caller
        self.cursors = cursors
        self.isExport = isExport
    }

    public func first(_ name: String) -> String? { query[name]?.first.flatMap { $0.isEmpty ? nil : $0 } }

    /// `limit`, 1 to 200, 50 by default.
    public func limit() throws(OperationError) -> Int {
        guard let text = first("limit") else { return 50 }
        guard let value = Int(text), (1...200).contains(value) else {
            throw .invalid([FieldError(pointer: "?limit", detail: "limit must be a whole number from 1 to 200.")])
        }
        return value
    }
}

/// What a read answers.
public struct ReadAnswer: Sendable {
    public let body: JSON
    /// The resource's version, when it is one resource.
    public let version: Int64?
    /// The cursor of the next page, already signed; also in `body`.
    public let nextCursor: String?
    public let disclosure: Disclosure?

    public init(_ body: JSON, version: Int64? = nil, nextCursor: String? = nil, disclosure: Disclosure? = nil) {
        self.body = body
        self.version = version
        self.nextCursor = nextCursor
        self.disclosure = disclosure
    }

    /// `{"items": […], "next_cursor": …}`
    public static func list(_ items: [JSON], next: String?, disclosure: Disclosure? = nil) -> ReadAnswer {
        ReadAnswer(["items": .array(items), "next_cursor": JSON(next)], nextCursor: next, disclosure: disclosure)
    }
}

/// How a list leaves as a file of comma-separated values: `GET /api/v1{path}/export`.
public struct ListExport: Sendable {
    /// Beside the list's own.
    public let permission: String
    public let columns: [CSV.Column]
    /// What the record says of it.
    public let disclosure: @Sendable (ReadCall, any Reader) throws -> Disclosure

    public init(
        permission: String, columns: [CSV.Column],
        disclosure: @escaping @Sendable (ReadCall, any Reader) throws -> Disclosure
    ) {
        self.permission = permission
        self.columns = columns
        self.disclosure = disclosure
    }
}

/// A declared read of the API: `GET /api/v1{path}`.
public struct Read: Sendable {
    public struct Parameter: Sendable {
        public let name: String
        public let summary: String
        public let schema: JSON
        public init(_ name: String, _ summary: String, schema: JSON = ["type": "string"]) {
            self.name = name
            self.summary = summary
            self.schema = schema
        }
        public static let limit = Parameter(
            "limit", "How many items a page has.",
            schema: ["type": "integer", "minimum": 1, "maximum": 200, "default": 50])
        public static let cursor = Parameter("cursor", "The next_cursor of the page before.")
    }

    /// `tenant.list`: the OpenAPI `operationId` and the access event's action.
    public let name: String
    public let summary: String
    /// `/tenants/{id}`
    public let path: String
    /// `nil`: every signed-in person, about themself.
    public let permission: String?
    public let parameters: [Parameter]
    /// JSON Schema of the answer (of one item when `isList`).
    public let schema: JSON
    public let isList: Bool
    /// It answers one resource with its version, as an ETag.
    public let hasVersion: Bool
    /// `nil` when the list is not to be taken away whole.
    public let export: ListExport?
    /// Runs in a READ ONLY transaction.
    public let run: @Sendable (ReadCall, any Reader) throws -> ReadAnswer

    public init(
        _ name: String, summary: String, path: String, permission: String?, parameters: [Parameter] = [],
        schema: JSON = ["type": "object"], isList: Bool = false, hasVersion: Bool = false,
        export: ListExport? = nil, run: @escaping @Sendable (ReadCall, any Reader) throws -> ReadAnswer
    ) {
        self.name = name
        self.summary = summary
        self.path = path
        self.permission = permission
        self.parameters = parameters
        self.schema = schema
        self.isList = isList
        self.hasVersion = hasVersion
        self.export = export
        self.run = run
    }

    /// `tenants`, for the name of a file.
    public var plural: String { path.split(separator: "/").last.map(String.init) ?? name }

    /// What an export is narrowed and ordered by: the list's parameters without those of its pages.
    public var exportParameters: [Parameter] { parameters.filter { $0.name != "limit" && $0.name != "cursor" } }

    /// As many items as an export reads at once.
    private static let portion = "200"

    /// The records of one portion of an export.
    /// - Parameter cursor: that of the portion before.
    public func exported(
        _ call: ReadCall, after cursor: String?, columns: [CSV.Column], from reader: any Reader
    ) throws -> (bytes: [UInt8], rows: Int64, next: String?) {
        var query = call.query
        query["limit"] = [Self.portion]
        query["cursor"] = cursor.map { [$0] }
        let answer = try run(
            ReadCall(path: call.path, query: query, caller: call.caller, cursors: call.cursors, isExport: true), reader)
        let items = answer.body["items"]?.array ?? []
        var out: [UInt8] = []
        out.reserveCapacity(items.count * 256)
        for item in items { CSV.append(columns.map { $0.cell(item) }, to: &out) }
        return (out, Int64(items.count), answer.nextCursor)
    }
}

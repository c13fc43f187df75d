/// What a declared read is asked.
public struct ReadCall: Sendable {
    /// Path parameters by name.
    public let path: [String: String]
    /// Query parameters by name; a repeated one has several values.
    public let query: [String: [String]]
    public let caller: Caller
    public let cursors: CursorCodec

    public init(path: [String: String], query: [String: [String]], caller: Caller, cursors: CursorCodec) {
        self.path = path
        self.query = query
        self.caller = caller
        self.cursors = cursors
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
    /// Runs in a READ ONLY transaction.
    public let run: @Sendable (ReadCall, any Reader) throws -> ReadAnswer

    public init(
        _ name: String, summary: String, path: String, permission: String?, parameters: [Parameter] = [],
        schema: JSON = ["type": "object"], isList: Bool = false, hasVersion: Bool = false,
        run: @escaping @Sendable (ReadCall, any Reader) throws -> ReadAnswer
    ) {
        self.name = name
        self.summary = summary
        self.path = path
        self.permission = permission
        self.parameters = parameters
        self.schema = schema
        self.isList = isList
        self.hasVersion = hasVersion
        self.run = run
    }
}

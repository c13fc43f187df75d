import Kernel

/// The operation a rule is for: `tenant.suspend`, or all of a kind, `bulk.*`.
public struct OperationPattern: ParamValue, Hashable {
    public let text: String
    public var json: JSON { .string(text) }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> OperationPattern {
        guard case .string(let text) = json else { throw .init("must be text like tenant.suspend.") }
        return try parse(text: text, rules)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> OperationPattern {
        guard text.utf8.count <= 80, text.wholeMatch(of: /[a-z_]+\.([a-z_]+|\*)/) != nil else {
            throw .init("must be like tenant.suspend, or bulk.* for all of a kind.")
        }
        return OperationPattern(text: text)
    }

    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "string", "pattern": "^[a-z_]+\\.([a-z_]+|\\*)$", "maxLength": 80, "examples": ["tenant.suspend"]]
    }
    public static var control: ParamControl { .line }
}

/// Permissions by their codes; a form takes one to a line.
public struct PermissionCodes: ParamValue, Hashable {
    public let codes: [String]
    public init(_ codes: [String]) { self.codes = codes }

    public var json: JSON { .array(codes.map(JSON.string)) }
    public var text: String { codes.joined(separator: "\n") }
    public var arguments: [String] { codes }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> PermissionCodes {
        try checked([String].parse(json, .none))
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> PermissionCodes {
        try checked([String].parse(text: text, .none))
    }

    private static func checked(_ codes: [String]) throws(FieldError.Reason) -> PermissionCodes {
        let wanted = codes.filter { !$0.isEmpty }
        if let stranger = wanted.first(where: { PermissionCatalog[$0] == nil }) {
            throw .init("names \(stranger.prefix(60)), which is no permission. The page Access lists them.")
        }
        return PermissionCodes(Set(wanted).sorted())
    }

    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "array", "items": ["type": "string"], "maxItems": 1000, "examples": [["ticket.comment"]]]
    }
    public static var control: ParamControl { .prose }
}

import Kernel

/// `name.givenName`, `emails[type eq "work"].value`: where an attribute stands (RFC 7644 §3.5.2, §3.10).
struct ScimPath: Sendable, Hashable {
    /// As it was written, without the schema before it.
    var attribute: String
    var sub: String?

    /// Compared without case.
    var key: String { attribute.lowercased() + (sub.map { "." + $0.lowercased() } ?? "") }
    var text: String { attribute + (sub.map { "." + $0 } ?? "") }
}

/// A filter as a tree (RFC 7644 §3.4.2.2).
indirect enum ScimFilter: Sendable, Hashable {
    enum Comparison: String, Sendable, CaseIterable { case eq, ne, co, sw, ew, gt, ge, lt, le }

    case compare(ScimPath, Comparison, JSON)
    case present(ScimPath)
    case and(ScimFilter, ScimFilter)
    case or(ScimFilter, ScimFilter)
    case not(ScimFilter)
    /// One of the values of an attribute fits all of it.
    case within(ScimPath, ScimFilter)
}

/// Why a filter or a path can't be read.
struct ScimSyntaxError: Error, Sendable, Hashable {
    let detail: String
}

/// Reads filters and the paths of patches. Every depth and length is bounded before anything is built.
struct ScimParser {
    /// Nested deeper than this is nothing a provider sends.
    static let mostLevels = 16
    /// More comparisons than this are nothing a provider sends.
    static let mostTerms = 50
    static let longest = 4000

    private let text: [UInt8]
    private var at = 0
    private var level = 0
    private var terms = 0

    private init(_ text: String) throws(ScimSyntaxError) {
        self.text = Array(text.utf8)
        guard self.text.count <= Self.longest else {
            throw ScimSyntaxError(detail: "It has more than \(Self.longest) bytes.")
        }
    }

    static func filter(_ text: String) throws(ScimSyntaxError) -> ScimFilter {
        var parser = try ScimParser(text)
        let filter = try parser.alternatives()
        parser.skipSpace()
        guard parser.at == parser.text.count else { throw parser.unexpected("the end") }
        return filter
    }

    /// What a patch is about.
    struct Target: Sendable, Hashable {
        var path: ScimPath
        /// Which values of it.
        var filter: ScimFilter?
    }

    static func target(_ text: String) throws(ScimSyntaxError) -> Target {
        var parser = try ScimParser(text)
        parser.skipSpace()
        var target = Target(path: try parser.path(), filter: nil)
        if parser.take("[") {
            target.filter = try parser.alternatives()
            parser.skipSpace()
            guard parser.take("]") else { throw parser.unexpected("]") }
            if parser.take(".") {
                guard target.path.sub == nil else { throw parser.unexpected("the end") }
                target.path.sub = try parser.name()
            }
        }
        parser.skipSpace()
        guard parser.at == parser.text.count else { throw parser.unexpected("the end") }
        return target
    }

    // MARK: Grammar

    private mutating func alternatives() throws(ScimSyntaxError) -> ScimFilter {
        level += 1
        defer { level -= 1 }
        guard level <= Self.mostLevels else {
            throw ScimSyntaxError(detail: "It is nested more than \(Self.mostLevels) levels deep.")
        }
        var filter = try conjunction()
        while keyword("or") { filter = .or(filter, try conjunction()) }
        return filter
    }

    private mutating func conjunction() throws(ScimSyntaxError) -> ScimFilter {
        var filter = try term()
        while keyword("and") { filter = .and(filter, try term()) }
        return filter
    }

    private mutating func term() throws(ScimSyntaxError) -> ScimFilter {
        terms += 1
        guard terms <= Self.mostTerms else {
            throw ScimSyntaxError(detail: "It has more than \(Self.mostTerms) comparisons.")
        }
        skipSpace()
        if take("(") { return try group() }
        if negation() { return .not(try group()) }
        let path = try path()
        if take("[") {
            let inner = try alternatives()
            skipSpace()
            guard take("]") else { throw unexpected("]") }
            return .within(path, inner)
        }
        skipSpace()
        let word = word().lowercased()
        if word == "pr" { return .present(path) }
        guard let comparison = ScimFilter.Comparison(rawValue: word) else {
            throw ScimSyntaxError(
                detail:
                    "\(word.isEmpty ? "Nothing" : "\"\(word.prefix(20))\"") stands where an operator should: eq, ne, co, sw, ew, gt, ge, lt, le or pr."
            )
        }
        skipSpace()
        return .compare(path, comparison, try value())
    }

    /// What stands between parentheses, the first of which is read.
    private mutating func group() throws(ScimSyntaxError) -> ScimFilter {
        let inner = try alternatives()
        skipSpace()
        guard take(")") else { throw unexpected(")") }
        return inner
    }

    /// `not (`, with or without a space; an attribute may begin with these letters too.
    private mutating func negation() -> Bool {
        let start = at
        if word().lowercased() == "not" {
            skipSpace()
            if take("(") { return true }
        }
        at = start
        return false
    }

    /// An attribute, with the schema it is of before it or without.
    private mutating func path() throws(ScimSyntaxError) -> ScimPath {
        let start = at
        while at < text.count, Self.isOfName(text[at]) || text[at] == UInt8(ascii: ":") || text[at] == UInt8(ascii: ".")
        {
            at += 1
        }
        guard at > start else { throw unexpected("an attribute") }
        var whole = String(decoding: text[start..<at], as: UTF8.self)
        if let colon = whole.lastIndex(of: ":") {
            let schema = whole[..<colon].lowercased()
            let known = [ScimSchemas.user, ScimSchemas.group].map { $0.lowercased() }
            if known.contains(schema) {
                whole = String(whole[whole.index(after: colon)...])
            } else if known.contains(whole.lowercased()) {
                // The schema alone: its attributes are the resource's own.
                return ScimPath(attribute: whole, sub: nil)
            } else {
                // Another schema's attribute is none that is kept here. Its last dot may stand in the version.
                return ScimPath(attribute: whole, sub: nil)
            }
        }
        let parts = whole.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, parts.allSatisfy(Self.isName) else {
            throw ScimSyntaxError(detail: "\"\(whole.prefix(60))\" is no attribute.")
        }
        return ScimPath(attribute: parts[0], sub: parts.count == 2 ? parts[1] : nil)
    }

    private mutating func name() throws(ScimSyntaxError) -> String {
        let name = word()
        guard Self.isName(name) else { throw unexpected("an attribute") }
        return name
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "$"): true
        default: false
        }
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.allSatisfy(isOfName) else { return false }
        return !(0x30...0x39).contains(first) && first != UInt8(ascii: "-")
    }

    /// A JSON value: text, a number, true, false or null.
    private mutating func value() throws(ScimSyntaxError) -> JSON {
        let start = at
        if at < text.count, text[at] == UInt8(ascii: "\"") {
            at += 1
            while at < text.count, text[at] != UInt8(ascii: "\"") { at += text[at] == UInt8(ascii: "\\") ? 2 : 1 }
            guard at < text.count else { throw ScimSyntaxError(detail: "A text is opened and not closed.") }
            at += 1
        } else {
            while at < text.count, Self.isOfName(text[at]) || [UInt8(ascii: "."), UInt8(ascii: "+")].contains(text[at])
            {
                at += 1
            }
        }
        guard at > start, let value = try? JSON(parsing: Array(text[start..<at])) else {
            let word = String(decoding: text[start..<min(at, start + 40)], as: UTF8.self)
            throw ScimSyntaxError(
                detail: word.isEmpty
                    ? "A value is missing."
                    : "\(word) is no value: write text in double quotes, a number, true, false or null.")
        }
        return value
    }

    // MARK: Letters

    private mutating func skipSpace() {
        while at < text.count, text[at] == 0x20 || text[at] == 0x09 { at += 1 }
    }

    private mutating func take(_ mark: Unicode.Scalar) -> Bool {
        guard at < text.count, text[at] == UInt8(ascii: mark) else { return false }
        at += 1
        return true
    }

    private mutating func word() -> String {
        let start = at
        while at < text.count, Self.isOfName(text[at]) { at += 1 }
        return String(decoding: text[start..<at], as: UTF8.self)
    }

    /// A word between what it joins; stays where it was when another stands there.
    private mutating func keyword(_ wanted: String) -> Bool {
        let start = at
        skipSpace()
        if word().lowercased() == wanted { return true }
        at = start
        return false
    }

    private func unexpected(_ wanted: String) -> ScimSyntaxError {
        at < text.count
            ? ScimSyntaxError(
                detail:
                    "\"\(String(decoding: text[at...].prefix(20), as: UTF8.self))\" stands where \(wanted) should, at byte \(at)."
            )
            : ScimSyntaxError(detail: "It ends where \(wanted) should stand.")
    }
}

// MARK: - Looking at values

extension ScimFilter {
    /// Whether a resource, or one value of an attribute, fits. Text compares without case, as these attributes do.
    func matches(_ json: JSON) -> Bool {
        switch self {
        case .and(let a, let b): a.matches(json) && b.matches(json)
        case .or(let a, let b): a.matches(json) || b.matches(json)
        case .not(let inner): !inner.matches(json)
        case .present(let path): Self.values(path, of: json).contains { !Self.isEmpty($0) }
        case .within(let path, let inner): Self.values(path, of: json).contains { inner.matches($0) }
        case .compare(let path, let comparison, let wanted):
            switch comparison {
            case .ne: !Self.values(path, of: json).contains { Self.fits($0, .eq, wanted) }
            default: Self.values(path, of: json).contains { Self.fits($0, comparison, wanted) }
            }
        }
    }

    static func member(_ name: String, of json: JSON) -> (name: String, value: JSON)? {
        guard let members = json.object else { return nil }
        if let value = members[name] { return (name, value) }
        let folded = name.lowercased()
        return members.first { $0.key.lowercased() == folded }.map { ($0.key, $0.value) }
    }

    /// What stands at a path; each value of one that has several.
    private static func values(_ path: ScimPath, of json: JSON) -> [JSON] {
        guard let found = member(path.attribute, of: json)?.value else { return [] }
        let each = found.array ?? [found]
        guard let sub = path.sub else { return each }
        return each.compactMap { member(sub, of: $0)?.value }
    }

    private static func isEmpty(_ json: JSON) -> Bool {
        switch json {
        case .null, .string(""), .array([]): true
        case .object(let members): members.isEmpty
        default: false
        }
    }

    private static func fits(_ found: JSON, _ comparison: Comparison, _ wanted: JSON) -> Bool {
        // A value of several parts is compared by its `value`.
        let found = found.object.map { _ in member("value", of: found)?.value ?? .null } ?? found
        switch (found, wanted) {
        case (.string(let found), .string(let wanted)):
            let (found, wanted) = (found.lowercased(), wanted.lowercased())
            switch comparison {
            case .eq: return found == wanted
            case .ne: return found != wanted
            case .co: return wanted.isEmpty || found.contains(wanted)
            case .sw: return found.hasPrefix(wanted)
            case .ew: return found.hasSuffix(wanted)
            case .gt: return found > wanted
            case .ge: return found >= wanted
            case .lt: return found < wanted
            case .le: return found <= wanted
            }
        case (.int(let found), .int(let wanted)):
            switch comparison {
            case .eq: return found == wanted
            case .ne: return found != wanted
            case .gt: return found > wanted
            case .ge: return found >= wanted
            case .lt: return found < wanted
            case .le: return found <= wanted
            case .co, .sw, .ew: return false
            }
        default:
            switch comparison {
            case .eq: return found == wanted
            case .ne: return found != wanted
            default: return false
            }
        }
    }
}

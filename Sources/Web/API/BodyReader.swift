import Kernel

/// Reads the members of a JSON request body and collects every error before any is reported.
struct BodyReader {
    private let members: [String: JSON]
    private var known: Set<String> = []
    private(set) var errors: [FieldError] = []

    /// - Throws: a 415, 413 or 400 problem, or a 422 one when the value is no object.
    init(_ exchange: Exchange) async throws {
        let bytes = try await exchange.body()
        if bytes.isEmpty {
            // Nothing at all is an empty object: operations without fields need no body.
            members = [:]
            return
        }
        let type = exchange.mediaType
        guard type == "application/json" || type.hasSuffix("+json") else {
            var problem = Problem(
                .unsupportedMediaType,
                type.isEmpty
                    ? "Send Content-Type: application/json." : "\(type) is not taken here; send application/json.")
            problem.headers[.accept] = "application/json"
            throw problem
        }
        let json: JSON
        do throws(JSONSyntaxError) {
            json = try JSON(parsing: bytes)
        } catch {
            throw Problem.malformed(error)
        }
        guard case .object(let members) = json else {
            throw Problem.invalid([FieldError(pointer: "", detail: "The body must be a JSON object.")])
        }
        self.members = members
    }

    /// A text member; `nil` (with an error noted when it is required) if it is absent.
    /// - Parameter limit: in code points, as `TextRule` and JSON Schema count; `nil` leaves it to who knows the member.
    mutating func text(_ name: String, required: Bool = false, atMost limit: Int? = nil) -> String? {
        known.insert(name)
        switch members[name] {
        case nil, .null?:
            if required { errors.append(FieldError(pointer: "/\(name)", detail: "\(name) is required.")) }
            return nil
        case .string(let text)?:
            if let limit, text.unicodeScalars.count > limit {
                errors.append(
                    FieldError(pointer: "/\(name)", detail: "\(name) must have at most \(limit) characters."))
            }
            if text.utf8.contains(0) {
                errors.append(FieldError(pointer: "/\(name)", detail: "\(name) must not contain the character U+0000."))
            }
            if required, text.isEmpty { errors.append(FieldError(pointer: "/\(name)", detail: "\(name) is required.")) }
            return text
        default:
            errors.append(FieldError(pointer: "/\(name)", detail: "\(name) must be text."))
            return nil
        }
    }

    /// A time, RFC 3339.
    mutating func time(_ name: String) -> Instant? {
        guard let text = text(name) else { return nil }
        guard let time = Instant(rfc3339: text) else {
            errors.append(
                FieldError(pointer: "/\(name)", detail: "\(name) must be a time such as 2030-01-31T09:00:00Z."))
            return nil
        }
        return time
    }

    /// An object member; an absent one is empty.
    mutating func object(_ name: String) -> JSON? {
        known.insert(name)
        switch members[name] {
        case nil: return .object([:])
        case .object(let value)?: return .object(value)
        default:
            errors.append(FieldError(pointer: "/\(name)", detail: "\(name) must be an object."))
            return nil
        }
    }

    /// Throws when anything was wrong, unknown members included.
    /// - Parameter others: errors that somebody else would find later; asked only when there are some already, so that
    ///   the client hears of all of them at once.
    mutating func finish(with others: () -> [FieldError] = { [] }) throws(Problem) {
        let wanted = known.sorted().joined(separator: ", ")
        for name in members.keys.sorted() where !known.contains(name) {
            errors.append(
                FieldError(
                    pointer: "/\(JSONPointer.escape(name))",
                    detail: "\"\(name)\" is not known here; known are \(wanted.isEmpty ? "no members" : wanted)."))
        }
        guard !errors.isEmpty else { return }
        let named = Set(errors.map(\.pointer))
        throw .invalid(errors + others().filter { !named.contains($0.pointer) })
    }
}

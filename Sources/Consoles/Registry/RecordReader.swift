import Kernel

/// Reads the members of one record and collects everything that is wrong with them. An empty text or `null` is absent.
public struct RecordReader: Sendable {
    public struct Problem: Sendable, Hashable {
        /// The member, as a JSON pointer without its first slash: `slug`, `members/2`.
        let member: String
        /// Ends a sentence that starts with "The row".
        let reason: String
    }

    private let members: [String: JSON]
    private(set) var problems: [Problem] = []

    init(_ members: [String: JSON]) { self.members = members }

    mutating func note(_ member: String, _ reason: String) { problems.append(Problem(member: member, reason: reason)) }

    mutating func refuseUnknown(besides known: Set<String>) {
        for name in members.keys.sorted() where !known.contains(name) {
            note(JSONPointer.escape(name), "has an unknown member \"\(name.prefix(60))\".")
        }
    }

    /// A text member; `nil` when it is absent or wrong.
    mutating func text<T>(_ name: String, _ rule: (String) throws(FieldError.Reason) -> T) -> T? {
        switch members[name] ?? .null {
        case .null, .string(""): return nil
        case .string(let text):
            do throws(FieldError.Reason) {
                return try rule(text)
            } catch {
                note(name, error.text)
                return nil
            }
        default:
            note(name, "must have a text as \(name).")
            return nil
        }
    }

    /// A text member that has to be there: empty when it is wrong.
    mutating func required(_ name: String, _ rule: (String) throws(FieldError.Reason) -> String) -> String {
        let before = problems.count
        if let value = text(name, rule) { return value }
        if problems.count == before {
            do throws(FieldError.Reason) {
                return try rule("")
            } catch {
                note(name, error.text)
            }
        }
        return ""
    }

    mutating func time(_ name: String) -> Instant? {
        text(name) { text throws(FieldError.Reason) in
            if let instant = Instant(rfc3339: text) { return instant }
            // A day by itself is its beginning.
            if let day = Day(text) {
                return Instant(microseconds: Int64(day.daysSince1970) * 86_400_000_000)
            }
            throw .init("must have an RFC 3339 time or a day as \(name), such as 2026-11-17T14:32:00Z.")
        }
    }

    mutating func word<Word: RawRepresentable<String>>(_ name: String, _ words: [Word]) -> Word? {
        text(name) { text throws(FieldError.Reason) in
            if let word = words.first(where: { $0.rawValue == text }) { return word }
            throw .init(
                "has \"\(text.prefix(60))\" as \(name), which is not one of \(words.map(\.rawValue).joined(separator: ", "))."
            )
        }
    }

    mutating func metadata(_ name: String) -> [String: String]? {
        let json = members[name] ?? .null
        guard !json.isNull else { return nil }
        do throws(FieldError.Reason) {
            return try TenantMetadata.parse(json, .none).values
        } catch {
            note(name, "has metadata that \(error.text)")
            return nil
        }
    }

    mutating func list(_ name: String, atMost most: Int) -> [JSON]? {
        switch members[name] ?? .null {
        case .null: return nil
        case .array(let list) where list.count <= most: return list
        case .array: note(name, "must have at most \(most) \(name).")
        default: note(name, "must have a list as \(name).")
        }
        return nil
    }
}

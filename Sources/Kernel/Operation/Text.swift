import Foundation

/// Rules for text that comes from outside (spec: operations §3).
public enum TextRule {
    /// Single line: trimmed, NFC, no control characters, no bidi controls.
    case line(ClosedRange<Int>)
    /// Several lines: as `line`, but line feeds and tabs may stand.
    case prose(ClosedRange<Int>)

    public func check(_ text: String) throws(FieldError.Reason) -> String {
        let (range, multiline) =
            switch self {
            case .line(let range): (range, false)
            case .prose(let range): (range, true)
            }
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0: throw .init("must not contain the character U+0000.")
            case 0x09 where multiline, 0x0A where multiline, 0x0D where multiline: continue
            case 0x01..<0x20, 0x7F..<0xA0:
                throw .init("must not contain control characters (found U+\(Self.hex(scalar))).")
            case 0x202A...0x202E, 0x2066...0x2069, 0x200E, 0x200F, 0x061C:
                throw .init("must not contain bidirectional control characters (found U+\(Self.hex(scalar))).")
            default: continue
            }
        }
        let folded = Self.folded(text)
        let count = folded.count
        if count < range.lowerBound {
            throw .init(
                count == 0 ? "is required." : "must have at least \(range.lowerBound) characters; it has \(count).")
        }
        // What people count as one character can be a letter with thousands of marks, so the most is counted in code
        // points, as JSON Schema's maxLength does.
        let length = folded.unicodeScalars.count
        if length > range.upperBound {
            throw .init("must have at most \(range.upperBound) characters; it has \(length).")
        }
        return folded
    }

    /// NFC without whitespace around it. Most texts are so already, and of ASCII, which NFC leaves as it is.
    private static func folded(_ text: String) -> String {
        func isSpace(_ byte: UInt8?) -> Bool { byte.map { $0 == 0x20 || (0x09...0x0D).contains($0) } ?? false }
        if text.utf8.allSatisfy({ $0 < 0x80 }), !isSpace(text.utf8.first), !isSpace(text.utf8.last) { return text }
        return text.precomposedStringWithCanonicalMapping.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func hex(_ scalar: Unicode.Scalar) -> String { String(format: "%04X", scalar.value) }
}

/// One field that can't be accepted, by JSON pointer into the request body (`/input/name`).
public struct FieldError: Error, Sendable, Hashable {
    /// Why, as the end of a sentence that starts with the field's label.
    public struct Reason: Error, Sendable, Hashable {
        public let text: String
        public init(_ text: String) { self.text = text }
    }
    public let pointer: String
    public let detail: String
    public init(pointer: String, detail: String) {
        self.pointer = pointer
        self.detail = detail
    }
}

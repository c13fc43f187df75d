/// Reads the part of CBOR (RFC 8949) that authenticators write: definite lengths, nothing nested deeply, keys of maps that are
/// small numbers or short texts.
struct CBORReader {
    struct Malformed: Error {}

    /// A value, as far as anybody here asks for it.
    enum Value: Equatable {
        case int(Int64)
        case bytes([UInt8])
        case text(String)
        /// Something that is only passed over.
        case other
    }

    private let bytes: [UInt8]
    private(set) var position = 0
    private static let deepest = 8
    private static let most: UInt64 = 64

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    /// The encoded bytes between two positions.
    func slice(from start: Int) -> [UInt8] { Array(bytes[start..<position]) }

    private mutating func take(_ count: UInt64) throws(Malformed) -> ArraySlice<UInt8> {
        guard count <= UInt64(bytes.count - position) else { throw Malformed() }
        defer { position += Int(count) }
        return bytes[position..<position + Int(count)]
    }

    /// Major type and argument.
    private mutating func head() throws(Malformed) -> (type: UInt8, argument: UInt64) {
        let first = try take(1).first ?? 0
        switch first & 31 {
        case let small where small < 24: return (first >> 5, UInt64(small))
        case 24: return (first >> 5, try number(1))
        case 25: return (first >> 5, try number(2))
        case 26: return (first >> 5, try number(4))
        case 27: return (first >> 5, try number(8))
        default: throw Malformed()
        }
    }

    private mutating func number(_ count: UInt64) throws(Malformed) -> UInt64 {
        try take(count).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// One value, whole.
    mutating func value(depth: Int = 0) throws(Malformed) -> Value {
        guard depth < Self.deepest else { throw Malformed() }
        let (type, argument) = try head()
        switch type {
        case 0:
            guard let number = Int64(exactly: argument) else { return .other }
            return .int(number)
        case 1:
            guard let number = Int64(exactly: argument) else { return .other }
            return .int(-1 - number)
        case 2: return .bytes(Array(try take(argument)))
        case 3:
            guard let text = String(validating: try take(argument), as: UTF8.self) else { throw Malformed() }
            return .text(text)
        case 4:
            guard argument <= Self.most else { throw Malformed() }
            for _ in 0..<argument { _ = try value(depth: depth + 1) }
            return .other
        case 5:
            guard argument <= Self.most else { throw Malformed() }
            for _ in 0..<argument * 2 { _ = try value(depth: depth + 1) }
            return .other
        case 6:
            _ = try value(depth: depth + 1)
            return .other
        default: return .other
        }
    }

    /// How many pairs a map has; they follow.
    mutating func map() throws(Malformed) -> Int {
        let (type, argument) = try head()
        guard type == 5, argument <= Self.most else { throw Malformed() }
        return Int(argument)
    }
}

import Kernel

/// RFC 4180 over a stream of bytes: quotes, doubled quotes, line breaks within quotes, CRLF or LF, a leading byte order
/// mark. UTF-8, or one byte a character where that was said.
///
/// A fault of the file's form ends the reading, because nothing after it can be trusted to mean what it seems to.
public struct CSVParser: Sendable {
    public struct Record: Sendable, Hashable {
        /// The line of the file it begins on, counted from 1.
        public let line: Int
        public let fields: [String]
        /// The byte of the file behind it, where the next one begins.
        public let end: Int64
        /// The line that begins there.
        public let nextLine: Int
    }

    /// What is wrong with the file, as a sentence that names the line.
    public struct Fault: Error, Sendable, Hashable {
        public let line: Int
        public let sentence: String
    }

    private enum State: Sendable {
        case fieldStart, unquoted, quoted, quoteInQuoted, carriageReturn
    }

    /// Bytes of one record at most.
    public static let mostRecordBytes = 1 << 20

    private var state = State.fieldStart
    private var bytes: [UInt8] = []
    /// Where each finished field of the record ends in `bytes`.
    private var ends: [Int] = []
    private var line = 1
    private var recordLine = 1
    private var quoteLine = 1
    private var isFirst = true
    private var mark: [UInt8] = []
    private var offset: Int64 = 0
    private let encoding: TextEncoding

    public init(encoding: TextEncoding = .utf8) { self.encoding = encoding }

    /// Goes on at the beginning of a record that has been reached before.
    public init(encoding: TextEncoding, at offset: Int64, line: Int) {
        self.encoding = encoding
        self.offset = offset
        self.line = line
        recordLine = line
        isFirst = offset == 0
    }

    /// Takes the next bytes of the file, in chunks of any size.
    public mutating func feed(_ chunk: some Sequence<UInt8>, _ body: (Record) throws -> Void) throws {
        for byte in chunk {
            if isFirst {
                mark.append(byte)
                guard mark.count == 3 else { continue }
                try begin(body)
                continue
            }
            try take(byte, body)
        }
    }

    /// Ends the file: the last record need not end with a line break.
    public mutating func finish(_ body: (Record) throws -> Void) throws {
        if isFirst { try begin(body) }
        switch state {
        case .quoted: throw Fault(line: quoteLine, sentence: "The quote opened in line \(quoteLine) is never closed.")
        case .carriageReturn: throw Fault(line: line, sentence: bareReturn)
        case .fieldStart where ends.isEmpty && bytes.isEmpty: return
        case .fieldStart, .unquoted, .quoteInQuoted: try endRecord(from: recordLine, body)
        }
    }

    private mutating func begin(_ body: (Record) throws -> Void) throws {
        isFirst = false
        let start = mark
        if start.starts(with: [0xFF, 0xFE]) || start.starts(with: [0xFE, 0xFF]) {
            throw Fault(
                line: 1,
                sentence: "The file is UTF-16 (it starts with \(start[0].hex) \(start[1].hex)). Save it as UTF-8.")
        }
        if start == [0xEF, 0xBB, 0xBF] {
            offset = 3
            return
        }
        for byte in start { try take(byte, body) }
    }

    private mutating func take(_ byte: UInt8, _ body: (Record) throws -> Void) throws {
        offset += 1
        switch (state, byte) {
        case (_, 0):
            throw Fault(
                line: line, sentence: "Line \(line) holds a zero byte: the file is probably UTF-16. Save it as UTF-8.")
        case (.quoted, UInt8(ascii: "\"")): state = .quoteInQuoted
        case (.quoted, _):
            if byte == 0x0A { line += 1 }
            try append(byte)
        case (.quoteInQuoted, UInt8(ascii: "\"")):
            try append(byte)
            state = .quoted
        case (.carriageReturn, 0x0A), (.fieldStart, 0x0A), (.unquoted, 0x0A), (.quoteInQuoted, 0x0A):
            let start = recordLine
            line += 1
            recordLine = line
            try endRecord(from: start, body)
        case (.carriageReturn, _): throw Fault(line: line, sentence: bareReturn)
        case (_, UInt8(ascii: ",")):
            ends.append(bytes.count)
            state = .fieldStart
        case (_, 0x0D): state = .carriageReturn
        case (.quoteInQuoted, _):
            throw Fault(
                line: line,
                sentence: "Line \(line) has text after a closing quote. A quote inside quotes is written twice.")
        case (.fieldStart, UInt8(ascii: "\"")):
            state = .quoted
            quoteLine = line
        case (_, UInt8(ascii: "\"")):
            throw Fault(
                line: line,
                sentence: "Line \(line) has a quote inside a value without quotes. Put the whole value in quotes.")
        default:
            state = .unquoted
            try append(byte)
        }
    }

    private mutating func append(_ byte: UInt8) throws {
        if byte >= 0x80, encoding == .latin1 {
            encoding.append(byte, to: &bytes)
        } else {
            bytes.append(byte)
        }
        if bytes.count > Self.mostRecordBytes {
            throw Fault(
                line: recordLine,
                sentence: "The record in line \(recordLine) is longer than 1 MiB; a closing quote may be missing.")
        }
    }

    private mutating func endRecord(from first: Int, _ body: (Record) throws -> Void) throws {
        ends.append(bytes.count)
        defer {
            bytes.removeAll(keepingCapacity: true)
            ends.removeAll(keepingCapacity: true)
            state = .fieldStart
        }
        // An empty line, such as after the last record.
        if ends == [0] { return }
        var fields: [String] = []
        fields.reserveCapacity(ends.count)
        var start = 0
        for end in ends {
            guard let field = String(validating: bytes[start..<end], as: UTF8.self) else { throw notUTF8(from: first) }
            fields.append(field)
            start = end
        }
        try body(Record(line: first, fields: fields, end: offset, nextLine: line))
    }

    private func notUTF8(from first: Int) -> Fault {
        let (low, byte) = TextEncoding.firstInvalid(bytes)
        let line = first + bytes[..<low].count { $0 == 0x0A }
        return Fault(line: line, sentence: TextEncoding.complaint(line: line, byte: byte))
    }

    private var bareReturn: String {
        "Line \(line) has a carriage return without a line feed. End lines with LF or CRLF."
    }
}

/// How the text of a file is written.
public enum TextEncoding: String, Sendable, CaseIterable {
    case utf8
    /// One byte a character, as Windows writes it (what the web means by "latin1").
    case latin1

    /// What Windows-1252 has where ISO 8859-1 has control characters.
    private static let upper: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D,
        0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153,
        0x9D,
        0x017E, 0x0178,
    ]

    /// Adds one byte of a file as UTF-8.
    func append(_ byte: UInt8, to bytes: inout [UInt8]) {
        guard byte >= 0x80 else { return bytes.append(byte) }
        let value = byte < 0xA0 ? Self.upper[Int(byte) - 0x80] : UInt32(byte)
        guard let scalar = Unicode.Scalar(value) else { return }
        bytes.append(contentsOf: UTF8.encode(scalar) ?? .init())
    }

    func decoded(_ bytes: [UInt8]) -> [UInt8] {
        guard self == .latin1, bytes.contains(where: { $0 >= 0x80 }) else { return bytes }
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count + 16)
        for byte in bytes { append(byte, to: &out) }
        return out
    }

    /// The place and value of the first byte that does not continue or begin a character.
    static func firstInvalid(_ bytes: [UInt8]) -> (place: Int, byte: UInt8) {
        var low = 0
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        decoding: while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): low += UTF8.width(scalar)
            case .emptyInput, .error: break decoding
            }
        }
        return (low, low < bytes.count ? bytes[low] : 0)
    }

    static func complaint(line: Int, byte: UInt8) -> String {
        let guess =
            byte >= 0x80
            ? " It looks like Windows-1252 or Latin-1: read it with --encoding latin1, or save the file as UTF-8."
            : " Save the file as UTF-8."
        return "Line \(line) holds the byte 0x\(byte.hex), which is not UTF-8.\(guess)"
    }
}

extension UInt8 {
    fileprivate var hex: String { [self].hex.uppercased() }
}

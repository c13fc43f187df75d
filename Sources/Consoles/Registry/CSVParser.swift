import Kernel

/// RFC 4180 over a stream of bytes: quotes, doubled quotes, line breaks within quotes, CRLF or LF, a leading byte order
/// mark. UTF-8 only.
///
/// A fault of the file's form ends the reading, because nothing after it can be trusted to mean what it seems to.
public struct CSVParser: Sendable {
    public struct Record: Sendable, Hashable {
        /// The line of the file it begins on, counted from 1.
        public let line: Int
        public let fields: [String]
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

    public init() {}

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
        case .fieldStart, .unquoted, .quoteInQuoted: try endRecord(body)
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
        if start == [0xEF, 0xBB, 0xBF] { return }
        for byte in start { try take(byte, body) }
    }

    private mutating func take(_ byte: UInt8, _ body: (Record) throws -> Void) throws {
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
            try endRecord(body)
            line += 1
            recordLine = line
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
        bytes.append(byte)
        if bytes.count > Self.mostRecordBytes {
            throw Fault(
                line: recordLine,
                sentence: "The record in line \(recordLine) is longer than 1 MiB; a closing quote may be missing.")
        }
    }

    private mutating func endRecord(_ body: (Record) throws -> Void) throws {
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
            guard let field = String(validating: bytes[start..<end], as: UTF8.self) else { throw notUTF8() }
            fields.append(field)
            start = end
        }
        try body(Record(line: recordLine, fields: fields))
    }

    private func notUTF8() -> Fault {
        // The first byte that does not continue or begin a character: the longest valid beginning ends before it.
        var low = 0
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        decoding: while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): low += UTF8.width(scalar)
            case .emptyInput, .error: break decoding
            }
        }
        let line = recordLine + bytes[..<low].count { $0 == 0x0A }
        let byte = bytes[low].hex
        let guess =
            bytes[low] >= 0xA0 || (0x80...0x9F).contains(bytes[low]) ? " It looks like Windows-1252 or Latin-1." : ""
        return Fault(
            line: line,
            sentence: "Line \(line) holds the byte 0x\(byte), which is not UTF-8.\(guess) Save the file as UTF-8.")
    }

    private var bareReturn: String {
        "Line \(line) has a carriage return without a line feed. End lines with LF or CRLF."
    }
}

extension UInt8 {
    fileprivate var hex: String { [self].hex.uppercased() }
}

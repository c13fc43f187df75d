import Kernel

/// The lines of a file, in pieces of any size: LF or CRLF, a leading byte order mark, empty lines left out.
public struct LineReader: Sendable {
    public struct Line: Sendable, Hashable {
        public let number: Int
        /// Without its end; `nil` for one that is too long to be held.
        public let bytes: [UInt8]?
        /// The byte of the file behind it, where the next one begins.
        public let end: Int64
    }

    private var bytes: [UInt8] = []
    private var isTooLong = false
    private var number: Int
    private var offset: Int64
    private let most: Int

    /// - Parameter most: bytes of one line.
    public init(atMost most: Int = CSVParser.mostRecordBytes, at offset: Int64 = 0, line: Int = 1) {
        self.most = most
        self.offset = offset
        number = line
    }

    public mutating func feed(_ chunk: [UInt8], _ body: (Line) throws -> Void) throws {
        var start = chunk.startIndex
        while let feed = chunk[start...].firstIndex(of: 0x0A) {
            append(chunk[start..<feed])
            offset += Int64(feed - start + 1)
            start = feed + 1
            try end(body)
            number += 1
        }
        append(chunk[start...])
        offset += Int64(chunk.endIndex - start)
    }

    public mutating func finish(_ body: (Line) throws -> Void) throws { try end(body) }

    private mutating func append(_ part: ArraySlice<UInt8>) {
        guard !isTooLong else { return }
        guard bytes.count + part.count <= most + 2 else {
            isTooLong = true
            bytes.removeAll(keepingCapacity: false)
            return
        }
        bytes.append(contentsOf: part)
    }

    private mutating func end(_ body: (Line) throws -> Void) throws {
        defer {
            bytes.removeAll(keepingCapacity: true)
            isTooLong = false
        }
        if isTooLong { return try body(Line(number: number, bytes: nil, end: offset)) }
        if bytes.last == 0x0D { bytes.removeLast() }
        if number == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        if bytes.count > most { return try body(Line(number: number, bytes: nil, end: offset)) }
        guard !bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) else { return }
        try body(Line(number: number, bytes: bytes, end: offset))
    }
}

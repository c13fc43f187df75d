import Kernel

/// Rows in the binary form of COPY, in pieces.
struct CopyRows {
    private static let signature: [UInt8] =
        Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00] + [UInt8](repeating: 0, count: 8)

    private let rows: RowLoad
    private var position = 0
    private var hasBegun = false
    private var isOver = false

    init(_ rows: RowLoad) { self.rows = rows }

    /// At least `size` bytes unless it is the last piece; `nil` behind that.
    mutating func next(_ size: Int) -> [UInt8]? {
        guard !isOver else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(size + 65_536)
        if !hasBegun { out += Self.signature }
        hasBegun = true
        let values = rows.values
        while position < values.count, out.count < size {
            Self.append(Int16(rows.width), to: &out)
            for value in values[position..<position + rows.width] { Self.append(value, to: &out) }
            position += rows.width
        }
        if position == values.count {
            Self.append(Int16(-1), to: &out)
            isOver = true
        }
        return out
    }

    private static func append(_ number: some FixedWidthInteger, to out: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { out.append(contentsOf: $0) }
    }

    private static func append(_ value: Value, to out: inout [UInt8]) {
        switch value {
        case .null: append(Int32(-1), to: &out)
        case .int(let number):
            append(Int32(8), to: &out)
            append(number, to: &out)
        case .text(var text):
            text.withUTF8 { bytes in
                append(Int32(bytes.count), to: &out)
                out.append(contentsOf: bytes)
            }
        case .bytes(let bytes):
            append(Int32(bytes.count), to: &out)
            out.append(contentsOf: bytes)
        }
    }
}

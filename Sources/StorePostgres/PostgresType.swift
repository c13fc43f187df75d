import CPQ
import Kernel

/// How values travel: parameters in binary form with their type, results in text form.
enum PostgresType {
    static let int8: Oid = 20
    static let text: Oid = 25
    static let bytes: Oid = 17

    /// The statement with `NULL` written out where a value is NULL: the server can't tell the type of `$1 IS NULL`, but
    /// takes the word anywhere.
    static func text(of statement: Statement) -> String {
        guard statement.values.contains(.null) else { return statement.text }
        var out: [UInt8] = []
        let bytes = Array(statement.text.utf8)
        out.reserveCapacity(bytes.count)
        var quote: UInt8?
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = byte
            } else if byte == UInt8(ascii: "$") {
                var number = 0
                var end = index
                while end < bytes.count, (0x30...0x39).contains(bytes[end]), number < 100_000 {
                    number = number * 10 + Int(bytes[end] - 0x30)
                    end += 1
                }
                if number >= 1, number <= statement.values.count, statement.values[number - 1] == .null {
                    out.append(contentsOf: "NULL".utf8)
                    index = end
                    continue
                }
            }
            out.append(byte)
        }
        return String(decoding: out, as: UTF8.self)
    }

    static func decode(_ raw: UnsafeRawBufferPointer, _ type: Oid) -> Value {
        switch type {
        case 20, 21, 23, 26: return .int(integer(raw) ?? 0)
        case 16: return .int(raw.first == UInt8(ascii: "t") ? 1 : 0)
        case 17: return .bytes(hex(raw))
        // sum() over BIGINT is numeric; whole numbers are what we store.
        case 1700:
            if let value = integer(raw) { return .int(value) }
            return .text(String(decoding: raw, as: UTF8.self))
        default: return .text(String(decoding: raw, as: UTF8.self))
        }
    }

    /// A column in binary form.
    static func raw(_ bytes: UnsafeRawBufferPointer, _ type: Oid) throws(StoreError) -> RawValue {
        switch (type, bytes.count) {
        case (20, 8): .int(Int64(bigEndian: bytes.loadUnaligned(as: Int64.self)))
        case (23, 4): .int(Int64(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self))))
        case (16, 1): .int(Int64(bytes[0]))
        case (17, _), (25, _), (1043, _): .bytes(bytes)
        default: throw .other("A column of the type \(type) can't be scanned.")
        }
    }

    private static func integer(_ raw: UnsafeRawBufferPointer) -> Int64? {
        var value: Int64 = 0
        var bytes = raw[...]
        let negative = bytes.first == UInt8(ascii: "-")
        if negative { bytes = bytes.dropFirst() }
        guard !bytes.isEmpty else { return nil }
        for byte in bytes {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            // Built downwards, because the smallest integer has no positive twin.
            let (difference, tooSmall) = product.subtractingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            guard !tooLarge, !tooSmall else { return nil }
            value = difference
        }
        if negative { return value }
        return value == .min ? nil : -value
    }

    /// `\x0aff…`
    private static func hex(_ raw: UnsafeRawBufferPointer) -> [UInt8] {
        guard raw.count >= 2 else { return [] }
        let count = (raw.count - 2) / 2
        return [UInt8](unsafeUninitializedCapacity: count) { out, initialized in
            for index in 0..<count {
                out[index] = nibble(raw[2 + 2 * index]) << 4 | nibble(raw[3 + 2 * index])
            }
            initialized = count
        }
    }

    @inline(__always) private static func nibble(_ character: UInt8) -> UInt8 {
        character <= UInt8(ascii: "9") ? character &- UInt8(ascii: "0") : (character | 32) &- UInt8(ascii: "a") &+ 10
    }
}

/// Which types the values of a statement have and which are NULL: of up to 96 values, two bits each.
struct ParameterKinds: Hashable {
    private var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
    private(set) var count = 0

    mutating func append(_ kind: UInt64) {
        let bits = kind << UInt64(count % 32 * 2)
        switch count / 32 {
        case 0: words.0 |= bits
        case 1: words.1 |= bits
        default: words.2 |= bits
        }
        count += 1
    }

    static func == (a: Self, b: Self) -> Bool { a.words == b.words && a.count == b.count }
    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(count)
    }
}

/// The values of one statement at a time, laid out for libpq. The room is used again for the next.
struct Parameters {
    /// Texts with more values than this (multi-row inserts of odd lengths) are not kept as prepared ones.
    static let keptValues = 96

    private(set) var types: [Oid] = []
    /// Of no account with more than `keptValues`.
    private(set) var kinds = ParameterKinds()
    private var storage: [UInt8] = []
    /// Where each value begins in `storage`; -1 is NULL.
    private var starts: [Int] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []
    private var pointers: [UnsafePointer<CChar>?] = []

    /// - Throws: `StoreError.constraint` for text with U+0000, which neither database keeps.
    mutating func lay(_ values: [Value]) throws(StoreError) {
        types.removeAll(keepingCapacity: true)
        storage.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        kinds = ParameterKinds()
        for value in values {
            let start = storage.count
            let kind: UInt64
            switch value {
            case .null:
                // Written out in the text, so the type is of no account; none would be an error.
                kind = 0
                types.append(PostgresType.text)
            case .int(let value):
                kind = 1
                types.append(PostgresType.int8)
                Swift.withUnsafeBytes(of: value.bigEndian) { storage.append(contentsOf: $0) }
            case .text(let value):
                kind = 2
                types.append(PostgresType.text)
                storage.append(contentsOf: value.utf8)
                if storage[start...].contains(0) { throw .constraint("Text can't hold the character U+0000.") }
            case .bytes(let value):
                kind = 3
                types.append(PostgresType.bytes)
                storage.append(contentsOf: value)
            }
            if values.count <= Self.keptValues { kinds.append(kind) }
            starts.append(kind == 0 ? -1 : start)
            lengths.append(Int32(storage.count - start))
        }
        // An empty last value still needs an address.
        storage.append(0)
        if formats.count < values.count {
            formats = [Int32](repeating: 1, count: values.count)
            pointers = [UnsafePointer<CChar>?](repeating: nil, count: values.count)
        }
    }

    mutating func withPointers<R>(
        _ body: (
            Int32, UnsafePointer<Oid>?, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?,
            UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        storage.withUnsafeBufferPointer { buffer in
            let base = UnsafeRawPointer(buffer.baseAddress!).assumingMemoryBound(to: CChar.self)
            for (index, start) in starts.enumerated() { pointers[index] = start < 0 ? nil : base + start }
            return body(Int32(starts.count), types, pointers, lengths, formats)
        }
    }
}

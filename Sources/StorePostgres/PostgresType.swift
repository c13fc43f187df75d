import CPQ
import Kernel

/// How values travel: parameters in binary form with their type, results in text form.
enum PostgresType {
    static let int8: Oid = 20
    static let text: Oid = 25
    static let bytes: Oid = 17

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

/// The values of one statement, laid out for libpq.
struct Parameters {
    let types: [Oid]
    private let storage: [UInt8]
    /// Offset and length in `storage`; `nil` is NULL.
    private var places: [(offset: Int, length: Int)?] = []

    /// - Throws: `StoreError.constraint` for text with U+0000, which neither database keeps.
    init(_ values: [Value]) throws(StoreError) {
        var types: [Oid] = []
        var storage: [UInt8] = []
        types.reserveCapacity(values.count)
        for value in values {
            let start = storage.count
            switch value {
            case .null:
                types.append(0)
                places.append(nil)
                continue
            case .int(let value):
                types.append(PostgresType.int8)
                Swift.withUnsafeBytes(of: value.bigEndian) { storage.append(contentsOf: $0) }
            case .text(let value):
                types.append(PostgresType.text)
                storage.append(contentsOf: value.utf8)
                if storage[start...].contains(0) { throw .constraint("Text can't hold the character U+0000.") }
            case .bytes(let value):
                types.append(PostgresType.bytes)
                storage.append(contentsOf: value)
            }
            places.append((start, storage.count - start))
        }
        // An empty last value still needs an address.
        storage.append(0)
        self.types = types
        self.storage = storage
    }

    func withPointers<R>(
        _ body: (
            Int32, UnsafePointer<Oid>?, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?,
            UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        storage.withUnsafeBufferPointer { buffer in
            let base = UnsafeRawPointer(buffer.baseAddress!).assumingMemoryBound(to: CChar.self)
            let pointers: [UnsafePointer<CChar>?] = places.map { $0.map { base + $0.offset } }
            let lengths = places.map { Int32($0?.length ?? 0) }
            let formats = [Int32](repeating: 1, count: places.count)
            return body(Int32(places.count), types, pointers, lengths, formats)
        }
    }
}

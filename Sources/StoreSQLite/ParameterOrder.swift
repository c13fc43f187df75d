import GRDBSQLite
import Kernel
import Synchronization

/// Which value stands at each of a statement's places: SQLite numbers `$2` by where it first stands, so each is found by
/// its name. The answer depends on the text alone and is kept.
enum ParameterOrder {
    private static let known = Mutex<[String: [Int]]>([:])
    private static let limit = 500

    static func of(_ text: String, _ handle: OpaquePointer) throws(StoreError) -> [Int] {
        if let order = known.withLock({ $0[text] }) { return order }
        let count = sqlite3_bind_parameter_count(handle)
        var order = read(text)
        if order.count != count { order = try asked(handle, count) }
        // Texts with very many values come in odd lengths.
        if count <= 96 {
            known.withLock { known in
                if known.count >= limit { known = [:] }
                known[text] = order
            }
        }
        return order
    }

    /// Each number where it first stands, outside of quotes. Asking SQLite for every name takes quadratic time.
    private static func read(_ text: String) -> [Int] {
        var order: [Int] = []
        var seen: Set<Int> = []
        var isQuoted = false
        var number: Int?
        func end() {
            if let found = number, found > 0, seen.insert(found).inserted { order.append(found) }
            number = nil
        }
        for byte in text.utf8 {
            if let value = number, (0x30...0x39).contains(byte), value < 100_000 {
                number = value * 10 + Int(byte - 0x30)
                continue
            }
            end()
            if byte == UInt8(ascii: "'") { isQuoted.toggle() }
            if byte == UInt8(ascii: "$"), !isQuoted { number = 0 }
        }
        end()
        return order
    }

    private static func asked(_ handle: OpaquePointer, _ count: Int32) throws(StoreError) -> [Int] {
        var order: [Int] = []
        for position in 0..<count {
            guard let name = sqlite3_bind_parameter_name(handle, position + 1),
                let number = Int(String(cString: name + 1)), number >= 1
            else { throw .other("The parameters of a statement are written $1, $2 and so on.") }
            order.append(number)
        }
        return order
    }
}

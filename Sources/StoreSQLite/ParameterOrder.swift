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
        var order: [Int] = []
        let count = sqlite3_bind_parameter_count(handle)
        order.reserveCapacity(Int(count))
        for position in 0..<count {
            guard let name = sqlite3_bind_parameter_name(handle, position + 1),
                let number = Int(String(cString: name + 1)), number >= 1
            else { throw .other("The parameters of a statement are written $1, $2 and so on.") }
            order.append(number)
        }
        // Texts with very many values come in odd lengths.
        if count <= 96 {
            known.withLock { known in
                if known.count >= limit { known = [:] }
                known[text] = order
            }
        }
        return order
    }
}

import Kernel

extension Entity {
    /// The columns of a row that a statement calls by another name: `p.id, p.version, …`
    static func columns(of alias: String) -> String {
        columns.split(separator: ", ").map { "\(alias).\($0)" }.joined(separator: ", ")
    }
}

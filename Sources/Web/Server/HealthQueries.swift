import Kernel

enum HealthQueries {
    /// The least a database can be asked.
    static let probe = Statement("SELECT 1 AS one")
}

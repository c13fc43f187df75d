import Kernel

/// One numbered step of the schema. Once released it is never edited; a later step changes what it made.
public struct Migration: Sendable {
    public let number: Int64
    public let name: String
    let tables: String
    /// Tables whose rows the log must name whenever they change, with the entity type they are known by.
    let governed: [(table: String, type: String)]
    /// Statements of one database only: functions and triggers.
    let special: @Sendable (Dialect) -> [String]

    func statements(_ dialect: Dialect) -> [String] {
        SQLScript(tables, dialect: dialect).statements + special(dialect)
            + governed.flatMap { GovernedTable.triggers($0.table, type: $0.type, dialect) }
    }

    /// SHA-256 of what is run, in hexadecimal: an edited step is noticed.
    public func checksum(_ dialect: Dialect) -> String {
        sha256(Array(statements(dialect).joined(separator: ";\n").utf8)).hex
    }

    /// All steps, in order.
    public static let all: [Migration] = [
        Migration(
            number: 1, name: "foundation", tables: Migration001.tables, governed: Migration001.governed,
            special: Guards.statements),
        Migration(
            number: 2, name: "deliveries", tables: Migration002.tables, governed: Migration002.governed,
            special: { _ in [] }),
        Migration(
            number: 3, name: "registry", tables: Migration003.tables, governed: Migration003.governed,
            special: { _ in [] }),
        Migration(
            number: 4, name: "tenants", tables: Migration004.tables, governed: Migration004.governed,
            special: Migration004.triggers),
        Migration(
            number: 6, name: "channels", tables: Migration006.tables, governed: [], special: { _ in [] }),
        Migration(
            number: 7, name: "discrepancies", tables: Migration007.tables, governed: Migration007.governed,
            special: { _ in [] }),
        Migration(
            number: 11, name: "marks", tables: Migration011.tables, governed: [], special: Migration011.special),
        Migration(
            number: 12, name: "settings", tables: Migration012.tables, governed: Migration012.governed,
            special: Migration012.special),
        Migration(
            number: 13, name: "approvals", tables: Migration013.tables, governed: Migration013.governed,
            special: Migration013.special),
        Migration(number: 16, name: "looks", tables: "", governed: [], special: Migration016.special),
        Migration(
            number: 17, name: "staff", tables: Migration017.tables, governed: Migration017.governed,
            special: Migration017.special),
        Migration(
            number: 18, name: "passkeys", tables: Migration018.tables, governed: [], special: { _ in [] }),
        Migration(number: 19, name: "policy", tables: Migration019.tables, governed: [], special: { _ in [] }),
        Migration(
            number: 20, name: "breakglass", tables: Migration020.tables, governed: Migration020.governed,
            special: { _ in [] }),
        Migration(number: 21, name: "single sign-on", tables: Migration021.tables, governed: [], special: { _ in [] }),
        Migration(
            number: 22, name: "accounts", tables: Migration022.tables, governed: Migration022.governed,
            special: { _ in [] }),
        Migration(
            number: 23, name: "access reviews", tables: Migration023.tables, governed: Migration023.governed,
            special: { _ in [] }),
        Migration(
            number: 24, name: "telling", tables: Migration024.tables, governed: Migration024.governed,
            special: { _ in [] }),
        Migration(number: 26, name: "mandates", tables: Migration026.tables, governed: [], special: { _ in [] }),
        Migration(
            number: 27, name: "clock", tables: Migration027.tables, governed: Migration027.governed,
            special: { _ in [] }),
        Migration(number: 28, name: "portions", tables: "", governed: [], special: Migration028.special),
        Migration(
            number: 31, name: "workers", tables: Migration031.tables, governed: Migration031.governed,
            special: { _ in [] }),
        Migration(
            number: 37, name: "clock marks", tables: Migration037.tables, governed: [], special: { _ in [] }),
        Migration(
            number: 40, name: "turns of requests", tables: Migration040.tables, governed: [], special: { _ in [] }),
    ]

    /// Every governed table of all steps and the entity type of its rows.
    public static var governedTables: [(table: String, type: String)] { all.flatMap(\.governed) }
}

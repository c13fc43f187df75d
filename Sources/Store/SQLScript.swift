import Kernel

/// A text of several SQL statements, written once for both databases.
struct SQLScript {
    let statements: [String]

    /// Substitutes the few words in which the databases differ and splits the text at its semicolons.
    init(_ text: String, dialect: Dialect) {
        statements = Self.split(text).map { Self.translate($0, dialect) }
    }

    private static func translate(_ statement: String, _ dialect: Dialect) -> String {
        switch dialect {
        case .postgres:
            return
                statement
                .replacing("{text}", with: "TEXT COLLATE \"C\"")
                .replacing("{bytes}", with: "BYTEA")
                .replacing("{serial}", with: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
                .replacing(
                    "{event_tx}",
                    with: """
                        ,
                            tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
                            tx_at TIMESTAMPTZ NOT NULL DEFAULT transaction_timestamp()
                        """)
        case .sqlite:
            let text =
                statement
                .replacing("{text}", with: "TEXT")
                .replacing("{bytes}", with: "BLOB")
                .replacing("{serial}", with: "INTEGER PRIMARY KEY AUTOINCREMENT")
                .replacing("{event_tx}", with: "")
                .replacing("BIGINT", with: "INTEGER")
            // STRICT: a column takes only values of its type, as PostgreSQL does.
            return text.hasPrefix("CREATE TABLE") ? text + " STRICT" : text
        }
    }

    /// Splits at semicolons outside quotes; drops `--` comments and empty statements.
    static func split(_ text: String) -> [String] {
        var statements: [String] = []
        var current: [UInt8] = []
        let bytes = Array(text.utf8)
        var index = 0
        var quote: UInt8?
        func finish() {
            let statement = String(decoding: current, as: UTF8.self).trimmingWhitespace
            if !statement.isEmpty { statements.append(statement) }
            current.removeAll()
        }
        while index < bytes.count {
            let byte = bytes[index]
            if let open = quote {
                current.append(byte)
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = byte
                current.append(byte)
            } else if byte == UInt8(ascii: "-"), index + 1 < bytes.count, bytes[index + 1] == byte {
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
                continue
            } else if byte == UInt8(ascii: ";") {
                finish()
            } else {
                current.append(byte)
            }
            index += 1
        }
        finish()
        return statements
    }
}

extension String {
    fileprivate var trimmingWhitespace: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}

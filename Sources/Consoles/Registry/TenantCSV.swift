import Foundation
import Kernel

/// The customers of a CSV file, row by row.
public struct TenantCSV: Sendable {
    /// The columns a file may have; `external_id`, `name` and `slug` it must have.
    public enum Column: String, Sendable, CaseIterable {
        case externalID = "external_id"
        case name, slug, plan
        case ownerEmail = "owner_email"
        case memberEmails = "member_emails"

        var isRequired: Bool { self == .externalID || self == .name || self == .slug }
    }

    /// One thing that is wrong, where it is.
    public struct Problem: Error, Sendable, Hashable {
        public let line: Int
        /// `nil` when it is about the whole line or file.
        public let column: String?
        /// A sentence; it names line and column itself.
        public let sentence: String
    }

    /// What a line of the file holds.
    public enum Line: Sendable {
        case row(RegistryRow, line: Int)
        /// Everything wrong with this line.
        case problems([Problem])
    }

    private var parser = CSVParser()
    /// The column of each field, once the header is read.
    private var columns: [Column]?

    public init() {}

    /// Takes the next bytes of the file and hands out the rows they complete.
    /// - Throws: `Problem` when the file can't be read any further.
    public mutating func feed(_ chunk: some Sequence<UInt8>, _ body: (Line) throws -> Void) throws {
        var columns = columns
        defer { self.columns = columns }
        try Self.naming { try parser.feed(chunk) { try Self.take($0, &columns, body) } }
    }

    /// Ends the file.
    public mutating func finish(_ body: (Line) throws -> Void) throws {
        var columns = columns
        defer { self.columns = columns }
        try Self.naming { try parser.finish { try Self.take($0, &columns, body) } }
        if columns == nil {
            throw Problem(
                line: 1, column: nil,
                sentence: "The file is empty. Its first line names the columns: \(Self.names(Column.allCases)).")
        }
    }

    private static func naming(_ body: () throws -> Void) throws {
        do { try body() } catch let fault as CSVParser.Fault {
            throw Problem(line: fault.line, column: nil, sentence: fault.sentence)
        }
    }

    private static func take(
        _ record: CSVParser.Record, _ columns: inout [Column]?, _ body: (Line) throws -> Void
    ) throws {
        guard let order = columns else {
            columns = try header(record)
            return
        }
        guard record.fields.count == order.count else {
            try body(
                .problems([
                    Problem(
                        line: record.line, column: nil,
                        sentence:
                            "Line \(record.line) has \(record.fields.count) values for \(order.count) columns; a comma inside a value needs quotes around it."
                    )
                ]))
            return
        }
        try body(row(record, order))
    }

    private static func header(_ record: CSVParser.Record) throws -> [Column] {
        var columns: [Column] = []
        let known = record.fields.count { field in
            Column(rawValue: field.trimmingCharacters(in: .whitespaces).lowercased()) != nil
        }
        guard known > 0 else {
            let hint =
                record.fields.count == 1 && record.fields[0].contains(";") ? " Values are separated by commas." : ""
            throw Problem(
                line: record.line, column: nil,
                sentence:
                    "Line \(record.line) must name the columns: \(names(Column.allCases)). It names none of them.\(hint)"
            )
        }
        for field in record.fields {
            let name = field.trimmingCharacters(in: .whitespaces).lowercased()
            guard let column = Column(rawValue: name) else {
                throw Problem(
                    line: record.line, column: name,
                    sentence:
                        "Line \(record.line) names a column \"\(name)\" that is not known. Known are \(names(Column.allCases))."
                )
            }
            guard !columns.contains(column) else {
                throw Problem(
                    line: record.line, column: name, sentence: "Line \(record.line) names the column \(name) twice.")
            }
            columns.append(column)
        }
        let missing = Column.allCases.filter { $0.isRequired && !columns.contains($0) }
        guard missing.isEmpty else {
            throw Problem(
                line: record.line, column: missing[0].rawValue,
                sentence: "Line \(record.line) names no column \(names(missing)); it is needed.")
        }
        return columns
    }

    private static func names(_ columns: [Column]) -> String { columns.map(\.rawValue).joined(separator: ", ") }

    private static func row(_ record: CSVParser.Record, _ order: [Column]) -> Line {
        var values: [Column: String] = [:]
        for (column, field) in zip(order, record.fields) {
            // Blanks around a value are never meant; name keeps to its own rule.
            values[column] = field.trimmingCharacters(in: .whitespaces)
        }
        var problems: [Problem] = []
        func check(
            _ column: Column, _ rule: (String) throws(FieldError.Reason) -> String
        ) -> String {
            do throws(FieldError.Reason) {
                return try rule(values[column] ?? "")
            } catch {
                problems.append(
                    Problem(
                        line: record.line, column: column.rawValue,
                        sentence: "Line \(record.line), column \(column.rawValue): the row \(error.text)"))
                return ""
            }
        }
        let externalID = check(.externalID, RegistryText.externalID)
        let name = check(.name, RegistryText.name)
        let slug = check(.slug, RegistryText.slug)
        var plan = RegistryRow.standardPlan
        if values[.plan]?.isEmpty == false {
            plan = check(.plan) { text throws(FieldError.Reason) in try RegistryText.word(text, "plan") }
        }
        var owner: String?
        if values[.ownerEmail]?.isEmpty == false { owner = check(.ownerEmail, RegistryText.email) }
        var members: [RegistryRow.Member] = []
        for address in (values[.memberEmails] ?? "").split(whereSeparator: { $0 == ";" || $0.isWhitespace }) {
            do throws(FieldError.Reason) {
                members.append(.init(email: try RegistryText.email(String(address))))
            } catch {
                problems.append(
                    Problem(
                        line: record.line, column: Column.memberEmails.rawValue,
                        sentence: "Line \(record.line), column member_emails: the row \(error.text)"))
            }
        }
        if members.count > RegistryRow.mostMembers {
            problems.append(
                Problem(
                    line: record.line, column: Column.memberEmails.rawValue,
                    sentence:
                        "Line \(record.line), column member_emails: the row has more than \(RegistryRow.mostMembers) members."
                ))
        }
        guard problems.isEmpty else { return .problems(problems) }
        return .row(
            RegistryRow(
                externalID: externalID, name: name, slug: slug, ownerEmail: owner, members: members, plan: plan),
            line: record.line)
    }
}

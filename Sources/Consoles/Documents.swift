import HTML
import Kernel

/// Documents made from the declarations: what they say is what the program does.
public enum Documents {
    /// By the name of their command.
    public static let all: [String: @Sendable (Catalog) -> String] = [
        "backoffice-app": backofficeApp, "roles-and-permissions": rolesAndPermissions,
        "audit-log-spec": auditLogSpec, "privileged-access": privilegedAccess,
    ]

    static func head(_ title: String, _ command: String) -> String {
        "# \(title)\n\nMade by `postern docs \(command)` from the declarations; a check fails when it is stale.\n"
    }

    static func table(_ columns: [String], _ rows: [[String]]) -> String {
        func line(_ cells: [String]) -> String {
            "| " + cells.map { $0.replacing("|", with: "\\|").replacing("\n", with: " ") }.joined(separator: " | ")
                + " |"
        }
        return ([line(columns), "|" + columns.map { _ in "---|" }.joined()] + rows.map(line)).joined(separator: "\n")
            + "\n"
    }

    static func code(_ text: String) -> String { "`\(text)`" }

    // MARK: The application

    private static func backofficeApp(_ catalog: Catalog) -> String {
        var text = head("The back office", "backoffice-app")
        text += """

            Every mutation is an operation of this list. Its route, form, command line verb, preview, permission, audit action and
            undo all come from one declaration. `POST` takes `{"input", "reason_code", "justification", "ticket"}` and an
            `Idempotency-Key`; `?dry_run=true` only says what would happen.

            """
        for console in Consoles.all where !console.operations.isEmpty || !console.reads.isEmpty {
            text += "\n## \(console.name)\n"
            if !console.menu.isEmpty {
                text +=
                    "\nPages: " + console.menu.map { "\($0.title) (\(code($0.path)))" }.joined(separator: ", ") + ".\n"
            }
            let operations = console.operations.sorted { $0.spec.name < $1.spec.name }
            for operation in operations { text += "\n" + describe(operation) }
            if !console.reads.isEmpty {
                text +=
                    "\n"
                    + table(
                        ["Read", "What it answers", "Permission"],
                        console.reads.map {
                            [code("GET /api/v1\($0.path)"), $0.summary, $0.permission.map(code) ?? "signed in"]
                        })
            }
        }
        return text
    }

    private static func describe(_ operation: AnyOperation) -> String {
        let spec = operation.spec
        let plural = operation.targetPlural.replacing("_", with: "-")
        var lines = ["### \(code(spec.name)): \(spec.title)", "", spec.summary, ""]
        if spec.systemOnly {
            lines.append("- Postern itself runs it; it is offered to nobody.")
        } else if operation.creates {
            lines.append("- \(code("POST /api/v1/\(plural)"))")
        } else {
            lines.append("- \(code("POST /api/v1/\(plural)/{id}/\(spec.verbPath)"))")
        }
        lines.append(
            "- Permission \(code(spec.permission)), risk \(spec.risk.rawValue)\(spec.risk >= .high ? ", a factor used within 5 minutes" : "")"
        )
        switch spec.justification {
        case .none: break
        case .optional: lines.append("- A justification may be given")
        case .required(let least): lines.append("- A justification of at least \(least) characters")
        }
        if spec.ticketRequired { lines.append("- A ticket") }
        if spec.requiresIfMatch { lines.append("- `If-Match`") }
        if !spec.reasonCodes.isEmpty {
            lines.append(
                "- Reason: " + spec.reasonCodes.map { "\(code($0.code)) (\($0.label))" }.joined(separator: ", "))
        }
        for field in operation.fields() {
            let need = field.param.isRequired ? "" : " (optional)"
            lines.append("- \(code(field.name))\(need): \(field.param.label). \(field.param.help)")
        }
        for rule in Seeds.rules where rule.covers(spec.name) {
            lines.append("- Co-sign, as seeded: \(rule.summary.lowercasedFirst), \(rule.demand.sentence)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: Roles

    private static func rolesAndPermissions(_ catalog: Catalog) -> String {
        var text = head("Roles and permissions", "roles-and-permissions")
        text += """

            Roles, permissions, limits and approval rules are rows, seeded as below and changed only by audited operations. Roles
            add up; what is not granted is refused. `super_admin` holds every permission, and every rule still applies to it.


            """
        text += table(["Role", "What it is for"], Seeds.roles.map { [code($0.id), $0.summary] })
        text +=
            "\nNot held by one person: "
            + Seeds.separations.map { pair in
                [pair.first, pair.second].map { $0.sorted().map(code).joined(separator: " or ") }
                    .joined(separator: " with ")
            }.joined(separator: "; ") + ".\n"
        let everywhere = Seeds.roles.map(\.id).filter { $0 != "super_admin" }
        var holders: [String: [String]] = [:]
        for held in Seeds.permissions where everywhere.contains(held.role) {
            let limits = (held.limits ?? []).map { " up to \($0.words)" }.joined()
            holders[held.permission, default: []].append(code(held.role) + limits)
        }
        var area = ""
        var rows: [[String]] = []
        func flush() {
            guard !rows.isEmpty else { return }
            text += "\n## \(area)\n\n" + table(["Permission", "What it allows", "Risk", "Beside `super_admin`"], rows)
            rows = []
        }
        for entry in PermissionCatalog.entries {
            if entry.area != area { flush() }
            area = entry.area
            rows.append(
                [
                    code(entry.code), entry.title, entry.risk.rawValue,
                    (holders[entry.code] ?? []).joined(separator: ", "),
                ])
        }
        flush()
        text +=
            "\n## Approval rules\n\nEach leaf is filled by another person, never by the requester; when several rules match, all must be met.\n\n"
        text += table(
            ["Operation", "When", "Who signs", "Within", "Wait"],
            Seeds.rules.map { rule in
                [
                    code(rule.operation), rule.summary, rule.demand.sentence, hours(rule.window),
                    rule.cooldown.map(hours) ?? "",
                ]
            })
        return text
    }

    static func hours(_ span: Span) -> String {
        span.seconds % 3600 == 0 ? "\(span.seconds / 3600) h" : "\(span.seconds / 60) min"
    }

    // MARK: The log

    private static func auditLogSpec(_ catalog: Catalog) -> String {
        var text = head("The audit log's format", "audit-log-spec")
        text += """

            ## Leaves
            A leaf is the RFC 8785 canonical JSON of an event, at most 65,535 bytes. Absent members are left out, never null; there
            are no floating point numbers. It holds no e-mail, name, external id or free text.

            | Member | Meaning |
            |---|---|
            | `v` | 1 |
            | `id` | `evt_` and a ULID |
            | `at` | RFC 3339 in UTC with microseconds, the server's clock; order is the index, never this |
            | `class`, `action`, `outcome` | below |
            | `actor` | `type` (\(Actor.Kind.allCases.map { code($0.rawValue) }.joined(separator: ", "))) and `id` |
            | `auth` | `session`, `factors`, `mfa_at` |
            | `client` | \(Client.allCases.map { code($0.rawValue) }.joined(separator: ", ")) |
            | `tenant`, `target` | what it belongs to, and `type` and `id` of what it was done to |
            | `reason_code`, `policy_version`, `request_id`, `operation_id`, `approval_id` | as they were |
            | `linked` | an earlier event this one belongs to |
            | `retention_class` | below |
            | `facts` | unsealed codes and counts, an allow-list for each action; `breakglass` in each that happened within one, `erases_target` where what is sealed about the target goes with it |
            | `changes` | `type`, `id` and commitments to the documents `before` and `after` |
            | `sealed` | commitments to `justification`, `actor_ip`, `user_agent`, `ticket`, `details` |

            A commitment is `SHA-256(salt ‖ JCS(value))` in base 64, with 32 random bytes of salt for each member. Salt and value are
            kept beside the leaf and can be erased; the leaf, its proof and every checkpoint stay valid.

            ## The tree
            Leaf `SHA-256(0x00 ‖ bytes)`, node `SHA-256(0x01 ‖ left ‖ right)` (RFC 9162). Checkpoints are C2SP `tlog-checkpoint` signed
            notes (Ed25519), tiles C2SP `tlog-tiles` under `/log/tile/`. The public key is at `/log/key` as
            `name+hexid+base64(0x01‖key)`.

            ## Export
            One JSON object a line: a header (`postern_export`, `origin`, `key`, `checkpoint`, `full`, `filter`, `archive`), the entries
            (`index`, `id`, `leaf`, `sealed`, `erased`; `proof` unless the export is full; `hash` and `pruned_by` in place of a leaf that
            is in the archive), and a last line with the count. The same entries as comma-separated values, for spreadsheets, hold the
            index and hash of each leaf, and what leaf and sealed members say; they are checked against the lines.

            ## Classes and how long they are kept


            """
        text += table(
            ["Class", "Kept as", "At least"],
            EventClass.allCases.map { eventClass in
                let retention = RetentionClass.standard(for: eventClass)
                return [
                    code(eventClass.rawValue), code(retention.rawValue),
                    retention.days.map { "\($0) days" } ?? "no end",
                ]
            })
        text += "\nOutcomes: " + EventOutcome.allCases.map { code($0.rawValue) }.joined(separator: ", ") + ".\n"
        text +=
            "\n## Actions\n\nOperations are recorded under their names; a preview of one is an `access` event of the same name.\n\n"
        let operations = catalog.operations.map { ($0.spec.name, $0.spec.title) }
        let others = EventWords.plain.map { ($0.key, $0.value) }
        text += table(
            ["Action", "In words"], (operations + others).sorted { $0.0 < $1.0 }.map { [code($0.0), $0.1] })
        return text
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}

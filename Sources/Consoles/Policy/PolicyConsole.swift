import HTML
import Kernel

/// What decides who may do what: roles, limits, approval rules and rates as rows that are changed through the pipeline, the
/// search for holes in them, and rules tried on the past (spec: access §2, §3).
public enum PolicyConsole {
    public static let console = Console(
        "Policy",
        operations: [
            AnyOperation(ChangeRule.self), AnyOperation(AddRule.self), AnyOperation(ChangeRole.self),
            AnyOperation(SetLimit.self), AnyOperation(SetRate.self), AnyOperation(ChangeSeparation.self),
        ],
        reads: [
            rules, rule, simulation, findings,
            list(Role.self, "roles", "Roles."), view(Role.self, "role", "roles", "One role."),
            list(
                RolePermission.self, "role-permissions", "What roles may do, with limits; what was taken away says so."),
            view(RolePermission.self, "cell", "role-permissions", "One cell of the permission matrix."),
            list(ExchangeRate.self, "exchange-rates", "What currencies are worth."),
            view(ExchangeRate.self, "rate", "exchange-rates", "What one currency is worth."),
        ],
        pages: [
            RulePages.list, RulePages.view, PolicyPages.findings, PolicyPages.role, PolicyPages.cell, PolicyPages.rates,
            PolicyPages.rate,
        ],
        choices: [
            "policy.add_rule/operation": { _ in
                Set(PolicyActs.all.map(\.name)).sorted().map { name in
                    Field.Choice(name, PolicyActs.title(name).map { "\($0) (\(name))" } ?? name)
                }
            },
            "policy.change_separation/held": { _ in
                ChangeSeparation.Held.allCases.map { Field.Choice($0.rawValue, titled($0.rawValue)) }
            },
        ],
        targetChoices: [
            // Not itself.
            "policy.change_separation/role": { role, _ in
                Seeds.roles.filter { $0.id != role }.map { Field.Choice($0.id, $0.title, note: $0.summary) }
            }
        ])

    static let permission = "access.view"

    private static let ruleSchema: JSON = [
        "type": "object",
        "required": ["id", "version", "operation", "condition", "demand", "window_seconds", "summary"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "operation": ["type": "string"],
            "condition": ["type": "object"], "demand": ["type": "object"], "window_seconds": ["type": "integer"],
            "cooldown_seconds": ["type": ["integer", "null"]], "summary": ["type": "string"],
            "retired": ["type": "boolean"],
        ],
    ]

    private static let rules = Read(
        "approval_rule.list", summary: "Approval rules, those that ended too.", path: "/approval-rules",
        permission: permission, parameters: [.limit, .cursor], schema: ruleSchema, isList: true
    ) { call, reader in
        let listing = try PolicyListing<ApprovalRuleRow>.load(call, from: reader)
        return .list(listing.items.map(\.document), next: listing.next)
    }

    private static let rule = Read(
        "approval_rule.view", summary: "One approval rule.", path: "/approval-rules/{id}", permission: permission,
        schema: ruleSchema, hasVersion: true
    ) { call, reader in
        let row = try PolicyListing<ApprovalRuleRow>.find(call, "approval rule", from: reader)
        return ReadAnswer(row.document, version: row.version)
    }

    private static let simulation = Read(
        "policy.simulate",
        summary: "What a rule, as it is or with other terms, would have covered in the last 90 days.",
        path: "/approval-rules/{id}/simulation", permission: "audit.view", parameters: RuleTrial.parameters,
        schema: RuleTrial.schema
    ) { call, reader in
        let trial = try RuleTrial.load(call, from: reader)
        guard trial.errors.isEmpty else { throw OperationError.invalid(trial.errors) }
        return ReadAnswer(trial.json, disclosure: trial.disclosure)
    }

    private static let findings = Read(
        "policy.lint",
        summary: "Holes in the policy: whoever could complete a two-person action alone, and rules nobody could meet.",
        path: "/policy-findings", permission: permission,
        schema: [
            "type": "object", "required": ["kind", "is_problem", "detail", "steps"],
            "properties": [
                "kind": ["type": "string", "enum": .array(PolicyFinding.Kind.allCases.map { .string($0.rawValue) })],
                "is_problem": ["type": "boolean"], "operation": ["type": "string"], "rule": ["type": "string"],
                "person": ["type": "string"], "detail": ["type": "string"],
                "steps": ["type": "array", "items": ["type": "string"]],
            ],
        ], isList: true
    ) { _, reader in
        let found = PolicyActs.lint.findings(try .load(from: reader))
        return .list(found.map(\.json), next: nil, disclosure: disclosure(of: found))
    }

    /// Findings name people.
    static func disclosure(of findings: [PolicyFinding]) -> Disclosure? {
        let people = Set(findings.compactMap(\.person)).sorted()
        return people.isEmpty ? nil : Disclosure("policy.lint", count: people.count, ids: people)
    }

    private static func list<Item: Entity>(_ type: Item.Type, _ path: String, _ summary: String) -> Read {
        Read(
            "\(Item.type).list", summary: summary, path: "/\(path)", permission: permission,
            parameters: [.limit, .cursor], isList: true
        ) { call, reader in
            let listing = try PolicyListing<Item>.load(call, from: reader)
            return .list(listing.items.map(\.document), next: listing.next)
        }
    }

    private static func view<Item: Entity>(
        _ type: Item.Type, _ noun: String, _ path: String, _ summary: String
    ) -> Read {
        Read(
            "\(Item.type).view", summary: summary, path: "/\(path)/{id}", permission: permission, hasVersion: true
        ) { call, reader in
            let item = try PolicyListing<Item>.find(call, noun, from: reader)
            return ReadAnswer(item.document, version: item.version)
        }
    }
}

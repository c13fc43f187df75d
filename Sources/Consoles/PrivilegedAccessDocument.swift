import Kernel

extension Documents {
    /// How the gravest operations are done: with whom, how fast, and what proves it afterwards.
    @Sendable static func privilegedAccess(_ catalog: Catalog) -> String {
        var text = head("Privileged access", "privileged-access")
        text += """

            Nobody does the irreversible alone. Operations of high and critical risk ask for a factor used within \
            \(minutes(Authentication.stepUpAge)); those that a rule covers wait for other people; and what somebody with a passkey asks for or \
            agrees to is signed, so that it can be verified years later without asking anybody.


            """
        text += "## What is privileged\n\n"
        text += table(
            ["Operation", "What it does", "Risk", "Others who must agree"],
            catalog.operations.filter { !$0.spec.systemOnly && $0.spec.risk >= .high }.map { operation in
                let spec = operation.spec
                return [
                    code(spec.name), spec.title, spec.risk.rawValue,
                    Seeds.rules.filter { $0.covers(spec.name) }.map(who).joined(separator: "; "),
                ]
            })
        text += """

            Others of lower risk that wait for somebody: \
            \(catalog.operations.filter { operation in
                operation.spec.risk < .high && !operation.spec.systemOnly
                    && Seeds.rules.contains { $0.covers(operation.spec.name) }
            }.map { code($0.spec.name) }.joined(separator: ", ")).

            ## The rules, as seeded

            All rules that match must be met. One signature may fill a leaf in each of several rules, and one leaf within a rule. They are
            rows, changed by `policy.add_rule` and `policy.change_rule`, which are signed themselves.


            """
        text += table(
            ["Rule", "Operation", "When", "Who signs", "Within", "Wait"],
            Seeds.rules.map { rule in
                [
                    code(rule.id), code(rule.operation), ConditionText(rule.condition).text, rule.demand.sentence,
                    hours(rule.window), rule.cooldown.map(hours) ?? "",
                ]
            })
        text += "\n## Who can sign\n\n"
        text += table(
            ["Role", "Signs for"],
            Seeds.roles.compactMap { role in
                let rules = Seeds.rules.filter { $0.demand.alternatives.joined().contains { $0.names(role.id) } }
                return rules.isEmpty ? nil : [code(role.id), rules.map { code($0.id) }.joined(separator: ", ")]
            })
        text += """

            Never whoever asked. Never, for \(hours(Standing.quarantine)), an account that the requester invited, gave a role or had new factors
            made for, nor somebody who did that for the requester. A signature counts while its giver is active, holds what they signed as
            and was given no new factors since, until the moment the operation is carried out; what somebody asked for before they were
            given new factors is not carried out.

            ## The life of a request


            """
        text += table(
            ["State", "What it means"],
            ApprovalRequest.State.allCases.map { [code($0.rawValue), $0.meaning] })
        text += """

            A person may have \(Pipeline.Settings().openRequests) requests open, one for an operation on a target. It may be put off (`not_before`) by
            \(OperationRequest.longestDelay.seconds / 86_400) days at most. What is shown once after approval, such as a link, is for whoever asked, for \(hours(Pipeline.revealed)).

            ## The emergency door
            `breakglass.open` is for one tenant and lasts \(minutes(BreakGlass.length)); there is no renewal, and no second one for the same person before the
            review of the first, which is owed within \(hours(BreakGlass.reviewTime)) of its end, by neither the opener nor who agreed. It gives no permission
            and waives no signature. Opened alone, everything else its opener may do is locked until the review.

            ## Programs
            Service accounts and assistants belong to a person, hold no more than that person holds now, nothing of high or critical risk, and
            sign nothing. What an assistant asks for waits for somebody other than its owner, whatever the rules say. What an identity
            provider asks for waits where the role is of power, until a colleague accepts it (`staff.accept_grant`).

            ## What is signed
            The authenticator's challenge is `SHA-256(JCS(action) ‖ nonce)`. A request's action holds the operation and its id, the target and
            its version, the commitments to justification and ticket, the digest of the plan, the demands' digest, the rules and their versions,
            the earliest start, the expiry and the site. A decision's holds the request, its round, the frozen action, the decision, the digests
            of plan and demands, what the signer signs as, the expiry and the site. The form is `\(SignedIntent.form)`.

            `postern verify approval ID --save FILE` keeps the evidence; `postern verify approval --evidence FILE --key KEY` verifies it without the
            server, and `e2e/verify_approval.py` without Postern.

            """
        return text
    }

    private static func who(_ rule: ApprovalRule) -> String {
        let condition = ConditionText(rule.condition)
        return rule.demand.sentence + (rule.condition == .always ? "" : " (when \(condition.text))")
            + (rule.cooldown.map { ", then \(hours($0)) of waiting" } ?? "")
    }

    private static func minutes(_ span: Span) -> String { "\(span.seconds / 60) minutes" }
}

extension Demand {
    /// Whether it is a leaf that this role fills by its name.
    fileprivate func names(_ role: String) -> Bool {
        if case .role(let roles) = self { roles.contains(role) } else { false }
    }
}

extension ApprovalRequest.State {
    fileprivate var meaning: String {
        switch self {
        case .pending: "waits for signatures until it expires"
        case .approved: "everybody agreed who must; Postern carries it out by itself, at once"
        case .scheduled: "the same, with a wait or an earliest start; it can be cancelled until then"
        case .executed: "carried out; the outcome's event is named"
        case .rejected: "somebody who could sign refused, with a reason"
        case .expired: "not everybody agreed in time; nothing happened"
        case .cancelled: "taken back by who asked, or by somebody who could have signed"
        case .stale: "it would do something else by now; the difference is shown and signatures begin anew"
        case .failed: "it was approved, and the operation refused when its time had come"
        }
    }
}

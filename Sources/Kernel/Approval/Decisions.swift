/// What people do to a request: approve, reject, cancel. Operations like all others, with a target that is the request
/// itself; the kernel declares them because everything else that needs a second person rests on them.
public enum Decisions {
    /// Agrees: fills a leaf of every rule that still has one for this person.
    public static let approve = operation(
        OperationSpec(
            "approval.approve", "Approve",
            summary:
                "Agrees to exactly this action and this plan; once everybody who must has agreed, it is carried out.",
            permission: "approval.decide", risk: .high, justification: .optional)
    ) { facts throws(Refusal) in try facts.approved() }

    /// Refuses for good: the same action takes a new request.
    public static let reject = operation(
        OperationSpec(
            "approval.reject", "Reject",
            summary: "Refuses the request for good, with a reason its requester reads.",
            permission: "approval.decide", risk: .medium, justification: .required(atLeast: 10))
    ) { facts throws(Refusal) in try facts.rejected() }

    /// Takes the request back, also when it is signed and waits for its time.
    public static let cancel = operation(
        OperationSpec(
            "approval.cancel", "Cancel request",
            summary: "Takes the request back before it is carried out; nothing of it happens.",
            permission: "approval.decide", risk: .medium)
    ) { facts throws(Refusal) in try facts.cancelled() }

    public static let all = [approve, reject, cancel]

    private static func operation(
        _ spec: OperationSpec, plan: @escaping @Sendable (Facts) throws(Refusal) -> Plan<ApprovalRequest>
    ) -> AnyOperation {
        AnyOperation(spec: spec, of: ApprovalRequest.self) { rehearsal, request, reader in
            try plan(Facts(request: request, rehearsal, from: reader))
        } undo: {
            "A decision can't be taken back."
        } unavailable: { request, now in
            let isCancel = spec.name == "approval.cancel"
            // By a clock that was set nothing is over: what is taken back then only the transaction can tell.
            if request.state.isOpen, request.expiresAt <= now, !isCancel {
                return Unavailable("it has expired", isMoot: true)
            }
            let possible = isCancel ? request.state.isLive : request.state.isOpen
            return possible ? nil : Unavailable("it is \(request.state.rawValue) already", isMoot: true)
        }
    }
}

/// Who has agreed to a request, whose agreement counts, and who may still give theirs.
public struct ApprovalSignatures: Sendable {
    public let request: ApprovalRequest
    /// Of all rounds, oldest first.
    public let all: [ApprovalSignature]
    public let standings: [String: Standing]
    let now: Instant
    /// Nobody set the clock, so that what is long ago by it is.
    let isClockTrusted: Bool

    /// - Parameters:
    ///   - rows: what `Records.signatures` answers.
    ///   - people: whose standing is needed beside the signers' and the requester's.
    ///   - isClockTrusted: false while the clock was set and nobody has confirmed it.
    public init(
        of request: ApprovalRequest, rows: [Row], and people: Set<String>, _ directory: any Directory,
        isClockTrusted: Bool, from reader: any Reader
    ) throws {
        self.request = request
        all = try rows.map(ApprovalSignature.init)
        standings = try directory.standings(
            of: people.union(all.map(\.person)).union(request.askers), from: reader)
        now = reader.now
        self.isClockTrusted = isClockTrusted
    }

    /// By a clock that nobody set: who could sign once it is confirmed is asked as always.
    public init(
        of request: ApprovalRequest, all: [ApprovalSignature], standings: [String: Standing], at now: Instant
    ) {
        self.request = request
        self.all = all
        self.standings = standings
        self.now = now
        isClockTrusted = true
    }

    private var binding: [ApprovalSignature] { all.filter { $0.agrees(to: request) } }

    /// Those whose signature counts at this moment, with what they signed as and still are.
    public var counting: [Signer] {
        binding.compactMap { signature in
            guard let standing = standings[signature.person], lapse(of: signature, standing) == nil else { return nil }
            return signature.signer(now: standing)
        }
    }

    /// Those who signed this round, with what they signed as, whatever became of them since.
    public var given: [Signer] {
        binding.map { signature in
            let signed = signature.signedAs
            return Signer(person: signature.person, roles: signed.roles, permissions: signed.permissions)
        }
    }

    /// Signers of this round whose signature counts no more, and why.
    public var lapsed: [(person: String, reason: String)] {
        binding.compactMap { signature in
            guard let standing = standings[signature.person] else { return (signature.person, "is not known any more") }
            if let reason = lapse(of: signature, standing) { return (signature.person, reason) }
            let signer = signature.signer(now: standing)
            let signed = signature.signedAs
            let lost = signed.roles.subtracting(signer.roles).union(signed.permissions.subtracting(signer.permissions))
            let words = lost.map { RoleTitle.of(Demand.manager(in: $0) == nil ? $0 : Demand.managerRole) }.sorted()
            return lost.isEmpty ? nil : (signature.person, "no longer holds \(words.joined(separator: ", "))")
        }
    }

    /// Why what somebody signed counts no more, whatever they hold; `nil` when it does.
    private func lapse(of signature: ApprovalSignature, _ standing: Standing) -> String? {
        if let reason = reason(against: standing) { return reason }
        return isRenewed(signature.person, since: signature.createdAt) ? "was given new factors since" : nil
    }

    /// Whether somebody's factors were reset after a moment: until then, whoever had the former ones may have acted as them. What
    /// people change themselves is no reset; a recovery from the server is.
    func isRenewed(_ person: String, since moment: Instant) -> Bool {
        (standings[person]?.touches ?? []).contains { $0.kind == .refactored && $0.at > moment }
    }

    /// Why somebody signs nothing for this requester, whatever they hold; `nil` when they may.
    func reason(against standing: Standing) -> String? {
        if standing.person == request.requester { return "asked for it" }
        if standing.person == request.holder { return "was shown the token that asked for it" }
        if !standing.isActive { return "is not active" }
        if request.barred.contains(standing.person) { return "is whom it is about" }
        if let emergency = standing.emergency, emergency.isSolo {
            return "opened break-glass alone, which nobody has reviewed yet"
        }
        if let touch = quarantine(standing) {
            return "was \(Self.word(touch.kind)) by the requester"
                + (isClockTrusted ? " less than 72 hours ago" : ", \(Self.untold)")
        }
        // Nor the other way round: whoever made an account or had its factors reset could be asking as it.
        let touches = request.askers.flatMap { standings[$0]?.touches ?? [] }
        if touches.contains(where: { $0.by == standing.person && $0.kind != .granted && isRecent($0) }) {
            return "invited the requester, or had their factors reset, "
                + (isClockTrusted ? "less than 72 hours ago" : Self.untold)
        }
        return nil
    }

    /// What whoever asks did to this account so lately that it can't sign for them.
    private func quarantine(_ standing: Standing) -> Standing.Touch? {
        standing.touches.filter { request.comes(from: $0.by) && isRecent($0) }.max { $0.at < $1.at }
    }

    /// By a clock that was set, everything may be.
    private func isRecent(_ touch: Standing.Touch) -> Bool {
        !isClockTrusted || now - touch.at < Standing.quarantine
    }

    /// What stands for how long ago something was, by a clock that was set.
    private static let untold = "nobody knows how long ago, as the server’s clock was set"

    /// Whether any role or permission of theirs is asked for at all. For the others there is nothing to decide.
    public func isAsked(_ caller: Caller) -> Bool {
        guard caller.actor.kind == .staff, let standing = standings[caller.person], standing.isActive else {
            return false
        }
        let signer = Signer(signing: standing, in: request.needs)
        return request.needs.contains { need in
            need.demand.alternatives.joined().contains { $0.isFilled(by: signer) }
        }
    }

    /// Why this person can't decide now; `nil` when they can. The time of the whole request counts as much as who they are.
    public func hindrance(of caller: Caller) -> String? {
        if !request.state.isOpen {
            return "This request is \(request.state.rawValue) already: there is nothing left to sign."
        }
        if request.expiresAt <= now {
            return "This request expired at \(request.expiresAt.minuteText). It can be asked for again."
        }
        if caller.person == request.requester {
            return "You asked for this yourself, so somebody else must decide. You can cancel it."
        }
        if caller.person == request.holder {
            return
                "You were shown the token that asked for this, so somebody else must decide. You can cancel it."
        }
        if let mine = all.first(where: { $0.person == caller.person && $0.round == request.round }) {
            let said = "You signed this request at \(mine.createdAt.minuteText) already"
            if let lapse = lapsed.first(where: { $0.person == caller.person }) {
                return
                    "\(said), which counts no more: your account \(lapse.reason). Somebody else signs, or it is cancelled and asked for again."
            }
            return said + "." + (mine.decision == .approve ? " To take that back, cancel the request." : "")
        }
        if request.barred.contains(caller.person) { return "This is about you, so somebody else must decide." }
        return nil
    }

    /// Why this person can't approve though they might reject; `nil` when they can.
    public func hindrance(toApprove caller: Caller) -> String? {
        if let hindrance = hindrance(of: caller) { return hindrance }
        guard let standing = standings[caller.person] else { return "Only people decide on requests." }
        if let touch = quarantine(standing) {
            let until = touch.at + Standing.quarantine
            let what = "You were \(Self.word(touch.kind)) by the person who asks, so you can't sign for them"
            return isClockTrusted
                ? "\(what) until \(until.minuteText)."
                : "\(what) while the server’s clock can’t be trusted: it was set, so that nobody knows how long ago that was."
        }
        let others = counting
        if let reason = reason(against: standing) {
            return
                "Your signature does not count: your account \(reason). Somebody else has to sign: it still needs \(missing(beside: others))."
        }
        let signer = Signer(signing: standing, in: request.needs)
        guard isFurthered(by: signer, beside: others) else {
            return "What you could sign is signed already. It still needs \(missing(beside: others))."
        }
        return nil
    }

    /// Whether one signature more brings it nearer to being carried out. Where nobody is missing though it is open, as when a
    /// signer lost a role for a while in which others signed, whoever may sign at all completes it.
    func isFurthered(by signer: Signer, beside others: [Signer]) -> Bool {
        let isMet = request.needs.allSatisfy { $0.demand.isMet(by: others) }
        return request.needs.contains { need in
            isMet
                ? need.demand.alternatives.joined().contains { $0.isFilled(by: signer) }
                : need.demand.isFurthered(by: signer, beside: others)
        }
    }

    /// Who is still missing, in words, and never nobody. One person signs for every rule: what two rules ask for is said once.
    public func missing(beside signers: [Signer]) -> String {
        var wanted: [Demand] = []
        for need in request.needs where !need.demand.isMet(by: signers) {
            var said = wanted
            for place in need.demand.nearest(to: signers) where place.signer == nil {
                if let index = said.firstIndex(where: { $0.sentence == place.leaf.sentence }) {
                    said.remove(at: index)
                } else {
                    wanted.append(place.leaf)
                }
            }
        }
        return wanted.isEmpty ? "one signature more, of anybody who may sign it" : Demand.sentence(ofAll: wanted)
    }

    static func word(_ kind: Standing.Touch.Kind) -> String {
        switch kind {
        case .invited: "invited"
        case .granted: "given a role"
        case .refactored: "given new factors"
        }
    }
}

extension ApprovalSignature {
    /// The part of what a person holds that leaves of these needs ask for.
    static func capacity(of standing: Standing, in needs: [ApprovalNeed]) -> JSON {
        let leaves = Set(needs.flatMap { $0.demand.alternatives.flatMap { $0 } })
        let signer = Signer(signing: standing, in: needs)
        var roles: Set<String> = []
        var permissions: Set<String> = []
        for leaf in leaves {
            switch leaf {
            case .role(let wanted): roles.formUnion(signer.roles.intersection(wanted))
            case .permission(let code): if signer.permissions.contains(code) { permissions.insert(code) }
            case .allOf, .anyOf, .count: break
            }
        }
        return [
            "roles": .array(roles.sorted().map(JSON.string)),
            "permissions": .array(permissions.sorted().map(JSON.string)),
        ]
    }

    /// What they signed as.
    var signedAs: (roles: Set<String>, permissions: Set<String>) {
        func set(_ name: String) -> Set<String> { Set((statement["as"]?[name]?.array ?? []).compactMap(\.string)) }
        return (set("roles"), set("permissions"))
    }

    /// What they signed as and still hold.
    func signer(now standing: Standing) -> Signer {
        let signed = signedAs
        return Signer(
            person: person, roles: signed.roles.intersection(standing.signingRoles),
            permissions: signed.permissions.filter { standing.permissions.contains($0) })
    }
}

extension Decisions {
    /// Everything a decision looks at, read in the transaction that records it.
    struct Facts {
        let request: ApprovalRequest
        let signatures: ApprovalSignatures
        let caller: Caller
        let eventID: String
        let signatureID: String
        let operation: String
        let signing: Signing?
        let isClockTrusted: Bool
        var now: Instant { signatures.now }

        init(request: ApprovalRequest, _ rehearsal: AnyOperation.Rehearsal, from reader: any Reader) throws {
            self.request = request
            caller = rehearsal.caller
            signatures = try ApprovalSignatures(
                of: request, rows: reader.query(rehearsal.records.signatures(approval: request.id)),
                and: [rehearsal.caller.person], rehearsal.directory, isClockTrusted: rehearsal.isClockTrusted,
                from: reader)
            eventID = rehearsal.eventID
            signatureID = rehearsal.fresh.id(ApprovalSignature.idPrefix)
            operation = rehearsal.operation
            signing = rehearsal.signing
            isClockTrusted = rehearsal.isClockTrusted
            try permit(rehearsal)
        }

        /// Decisions are of people, and of those only who asked or could sign.
        private func permit(_ rehearsal: AnyOperation.Rehearsal) throws {
            let isCancel = rehearsal.operation == Decisions.cancel.spec.name
            if isCancel, request.comes(from: caller.person) || caller.isSystem { return }
            guard caller.actor.kind == .staff, signatures.standings[caller.person] != nil else {
                throw OperationError.notAsked("Only people decide on requests.")
            }
            // Who asked hears that they can't sign for themselves, not that they lack a role.
            guard request.comes(from: caller.person) || signatures.isAsked(caller) else {
                throw OperationError.notAsked(
                    "None of your roles signs this request. It needs \(request.wanted).")
            }
        }

        /// Its time came, but by a clock that was set.
        private var mustWait: Bool {
            guard !isClockTrusted, let earliest = request.notBefore else { return false }
            return earliest <= now
        }

        func approved() throws(Refusal) -> Plan<ApprovalRequest> {
            if let hindrance = signatures.hindrance(toApprove: caller) { throw .conflict(hindrance) }
            guard let standing = signatures.standings[caller.person] else {
                throw .conflict("Only people decide on requests.")
            }
            // A code stands for whoever has nothing better (spec: access §3, "with TOTP only").
            if let signing, !signing.isQuestion, signing.signed == nil, standing.hasPasskey {
                throw .conflict(
                    "You have a passkey, so what you agree to is signed with it: approve in the console, at \(signing.console)/approvals/\(request.id)."
                )
            }
            let signature = try signature(.approve, as: ApprovalSignature.capacity(of: standing, in: request.needs))
            var after = request
            let signers = signatures.counting + [Signer(signing: standing, in: request.needs)]
            let isComplete = request.needs.allSatisfy { $0.demand.isMet(by: signers) }
            if isComplete {
                let cooldown = request.needs.compactMap(\.cooldown).max() ?? .seconds(0)
                let start = max(now + cooldown, request.notBefore ?? now)
                after.decidedAt = now
                after.executeAt = start
                after.state = now < start || mustWait ? .scheduled : .approved
            }
            // Read before it is confirmed as well as after: it says what comes of this signature, not what has come of it.
            let sentence =
                switch after.state {
                case .approved: "This is the last signature it needs: Postern then carries it out by itself, at once."
                case .scheduled where mustWait:
                    "This is the last signature it needs. The server’s clock was set, so Postern carries it out once somebody has looked at that, unless somebody cancels it before."
                case .scheduled:
                    "This is the last signature it needs: Postern then carries it out by itself at \((after.executeAt ?? now).minuteText), unless somebody cancels it before."
                default: "With this signature it still needs \(signatures.missing(beside: signers))."
                }
            return Plan(
                after, also: [.create(signature)],
                effects: after.state == .scheduled ? [after.news].compactMap(\.self) : [],
                facts: facts(.approve, after), consequence: sentence)
        }

        func rejected() throws(Refusal) -> Plan<ApprovalRequest> {
            if let hindrance = signatures.hindrance(of: caller) { throw .conflict(hindrance) }
            var after = request
            after.state = .rejected
            after.decidedAt = now
            after.outcomeEventID = eventID
            let standing = signatures.standings[caller.person]
            let signature = try signature(
                .reject, as: standing.map { ApprovalSignature.capacity(of: $0, in: request.needs) } ?? [:])
            return Plan(
                after, also: [.create(signature)], effects: [after.news].compactMap(\.self),
                facts: facts(.reject, after),
                consequence: "The request is rejected and nothing of it happens.")
        }

        func cancelled() throws(Refusal) -> Plan<ApprovalRequest> {
            guard request.state.isLive else {
                throw .conflict("This request is \(request.state.rawValue) already: there is nothing left to cancel.")
            }
            // Nobody calls it expired by a clock that was set: until then it waits, and may be taken back.
            guard !request.state.isOpen || now < request.expiresAt || !isClockTrusted else {
                throw .conflict(
                    "This request expired at \(request.expiresAt.minuteText): nothing comes of it any more.")
            }
            var after = request
            after.state = .cancelled
            after.decidedAt = now
            after.executeAt = nil
            after.outcomeEventID = eventID
            return Plan(
                after, effects: caller.person == request.requester ? [] : [after.news].compactMap(\.self),
                facts: ["round": .int(request.round), "state": .string(after.state.rawValue)],
                consequence: "The request is cancelled and nothing of it happens.")
        }

        /// What a passkey signs of the statement: beside its digests all that they stand for, so that it can be read alone.
        private func signed(_ statement: [String: JSON], at site: String) -> JSON {
            var members = statement
            members["intent"] = .string(SignedIntent.form)
            members["operation"] = .string(operation)
            members["action"] = request.action
            members["rules"] = .array(
                request.needs.map { ["rule": .string($0.rule), "version": .int($0.version)] })
            members["rp_id"] = .string(site)
            return .object(members)
        }

        private func facts(_ decision: ApprovalSignature.Decision, _ after: ApprovalRequest) -> [String: JSON] {
            [
                "decision": .string(decision.rawValue), "round": .int(request.round),
                "state": .string(after.state.rawValue), "plan_digest": .string(request.planDigest),
            ]
        }

        private func signature(
            _ decision: ApprovalSignature.Decision, as capacity: JSON
        ) throws(Refusal) -> ApprovalSignature {
            var statement = ApprovalSignature.statement(decision, of: caller.person, on: request).object ?? [:]
            statement["as"] = capacity
            let standing = signatures.standings[caller.person]
            if let signing, signing.signed != nil || (signing.isQuestion && standing?.hasPasskey == true) {
                let action = signed(statement, at: signing.site)
                statement = action.object ?? [:]
                if let signed = signing.signed, signed.person != caller.person || signed.action != action {
                    throw .conflict(PasskeyRefusal.otherAction.sentence)
                }
            }
            return ApprovalSignature(
                id: signatureID, approvalID: request.id, round: request.round, person: caller.person,
                decision: decision, statement: .object(statement),
                method: statement["intent"] != nil ? .webauthn : caller.authentication?.factors.last ?? .password,
                factorAt: caller.authentication?.mfaAt ?? now, eventID: eventID, createdAt: now)
        }
    }
}

/// What an outsider needs to verify a request without asking anybody: the log's receipts for what was asked, who agreed and
/// what was done, in them what passkeys signed, and the receipts that say whose these passkeys are.
///
/// It holds only what stays when people are erased: commitments, digests and ids.
public struct ApprovalEvidence: Sendable {
    public static let version: Int64 = 1

    public let approvalID: String
    public let key: String
    public let receipts: [Receipt]
    /// Of the events by which the passkeys were registered.
    public let registrations: [Receipt]

    public static func bundle(_ approval: String, key: String, receipts: [JSON], registrations: [JSON]) -> JSON {
        [
            "version": .int(version), "approval_id": .string(approval), "key": .string(key),
            "receipts": .array(receipts), "registrations": .array(registrations),
        ]
    }

    /// The passkey that signed what a receipt is about, as a factor; `nil` where none did.
    public static func factor(of receipt: JSON) -> String? { receipt["sealed"]?["intent"]?["value"]?["factor"]?.string }

    /// A receipt without sealed values that may be somebody's: what a passkey signed stays, and the rows of the request and of
    /// its signatures.
    public static func bare(_ receipt: JSON) -> JSON {
        guard var members = receipt.object, let sealed = receipt["sealed"]?.object,
            let leaf = receipt["leaf"]?.string.flatMap(Base64.decode).flatMap({ try? JSON(parsing: $0) })
        else { return receipt }
        let changes = leaf["changes"]?.array ?? []
        let kept = Set([ApprovalRequest.type, ApprovalSignature.type])
        members["sealed"] = .object(
            sealed.filter { name, _ in
                if name == "intent" { return true }
                let parts = name.split(separator: ".")
                guard parts.count == 3, parts[0] == "changes", let index = Int(parts[1]),
                    changes.indices.contains(index)
                else { return false }
                return kept.contains(changes[index]["type"]?.string ?? "")
            })
        members["erased"] = nil
        members["notice"] = nil
        return .object(members)
    }

    public init(_ json: JSON) throws(NoteError) {
        guard let version = json["version"]?.int, let approval = json["approval_id"]?.string,
            let key = json["key"]?.string, let receipts = json["receipts"]?.array,
            let registrations = json["registrations"]?.array
        else { throw NoteError("This is no evidence: it lacks version, approval_id, key, receipts or registrations.") }
        guard version == Self.version else {
            throw NoteError("The evidence is of version \(version), which this program does not know.")
        }
        approvalID = approval
        self.key = key
        var read: [Receipt] = []
        for receipt in receipts { read.append(try Receipt(receipt)) }
        self.receipts = read
        read = []
        for receipt in registrations { read.append(try Receipt(receipt)) }
        self.registrations = read
    }

    // MARK: - Verification

    /// What was found out, one sentence each.
    public struct Report: Sendable, Hashable {
        public var lines: [String] = []
        public var findings: [String] = []
        public var holds: Bool { findings.isEmpty }
    }

    /// A receipt whose leaf, proof, checkpoint and sealed values were found right.
    private struct Proven {
        let leaf: JSON
        let sealed: [String: SealedMember]
        let index: Int64
        var id: String { leaf["id"]?.string ?? "" }
        var action: String { leaf["action"]?.string ?? "" }
        /// What an entity became by this event, when that is in the evidence.
        func after(_ type: String) -> [(id: String, document: JSON)] {
            (leaf["changes"]?.array ?? []).enumerated().compactMap { index, change in
                guard change["type"]?.string == type, let member = sealed["changes.\(index).after"] else { return nil }
                return (change["id"]?.string ?? "", member.value)
            }
        }
    }

    /// Verifies all of it: that every event is in the log, every signature by a key of whoever is said to have signed and over
    /// the very action that was asked for, what was done is what was agreed to, and those who agreed are whom the rules demand.
    /// - Parameter log: the log's public key, from elsewhere than the evidence.
    public func verify(log: VerifierKey, with cryptography: any PasskeyCryptography) -> Report {
        var report = Report()
        let proven = prove(receipts, "Receipt", by: log, &report)
        let owners = Owners(prove(registrations, "Registration", by: log, &report))
        guard let asked = proven.first(where: { $0.leaf["outcome"]?.string == EventOutcome.requested.rawValue }),
            asked.leaf["approval_id"]?.string == approvalID,
            let request = asked.after(ApprovalRequest.type).first(where: { $0.id == approvalID })?.document
        else {
            report.findings.append("The event that asked for \(approvalID) is not in the evidence, or can't be read.")
            return report
        }
        let operation = request["operation"]?.string ?? ""
        checkAsked(asked, request, owners, with: cryptography, &report)
        report.lines.append("\(operation) was asked for as entry \(asked.index) (\(asked.id)).")
        for event in proven where event.leaf["approval_id"]?.string != approvalID {
            report.findings.append("\(event.id) is about another request.")
        }
        var agreed: [Agreed] = []
        for event in proven {
            for (_, signature) in event.after(ApprovalSignature.type) {
                check(signature, of: event, on: request, owners, with: cryptography, &report)
                if signature["decision"] == "approve" {
                    let at = event.leaf["at"]?.string.flatMap(Instant.init(rfc3339:))
                    agreed.append(Agreed(statement: signature["statement"] ?? .null, index: event.index, at: at))
                }
            }
        }
        for event in proven where event.action == operation && event.leaf["outcome"] == "applied" {
            checkDone(event, asked: asked, request, agreed, &report)
        }
        return report
    }

    /// That somebody agreed, where the log says so, and when.
    private struct Agreed {
        let statement: JSON
        let index: Int64
        let at: Instant?

        /// Within the time the statement names.
        var isInTime: Bool {
            guard let at, let until = statement["expires_at"]?.string.flatMap(Instant.init(rfc3339:)) else {
                return false
            }
            return at <= until
        }
    }

    private func prove(
        _ receipts: [Receipt], _ word: String, by log: VerifierKey, _ report: inout Report
    ) -> [Proven] {
        var proven: [Proven] = []
        for (number, receipt) in receipts.enumerated() {
            do throws(NoteError) {
                try receipt.verify(key: log)
                proven.append(
                    Proven(leaf: try LeafReader(receipt.leaf).json, sealed: receipt.sealed, index: receipt.index))
            } catch {
                report.findings.append("\(word) \(number + 1): \(error.description)")
            }
        }
        return proven
    }

    /// Whose passkeys are, as the log says: each was registered by its owner, signed in.
    private struct Owners {
        private let entries: [[String?]: Int64]

        init(_ registrations: [Proven]) {
            var entries: [[String?]: Int64] = [:]
            for event in registrations
            where ["passkey.add", "enrolment.completed"].contains(event.action) && event.leaf["outcome"] == "applied" {
                let facts = event.leaf["facts"]
                entries[[event.leaf["actor"]?["id"]?.string, facts?["factor"]?.string, facts?["key_sha256"]?.string]] =
                    event.index
            }
            self.entries = entries
        }

        /// The entry that says so, where it came before.
        func entry(of intent: SignedIntent, before index: Int64) -> Int64? {
            entries[[intent.person, intent.factor, sha256(intent.key.cose).hex]].flatMap { $0 < index ? $0 : nil }
        }
    }

    /// Where whoever asked signed it: that it is what waits.
    private func checkAsked(
        _ asked: Proven, _ request: JSON, _ owners: Owners, with cryptography: any PasskeyCryptography,
        _ report: inout Report
    ) {
        guard let member = asked.sealed["intent"] else {
            if asked.leaf["sealed"]?["intent"] != nil {
                report.findings.append("request (\(asked.id)): what the passkey signed is not in the evidence.")
            }
            return
        }
        do throws(PasskeyRefusal) {
            let intent = try SignedIntent(evidence: member.value)
            let origin = try intent.check(with: cryptography)
            let action = intent.action
            let isOwn =
                intent.person == request["requester"]?.string && action["person"]?.string == intent.person
                && action["operation"] == request["operation"]
                && action["operation_id"] == asked.leaf["operation_id"]
                && action["target"] == request["action"]?["target"]
                && action["reason_code"] == request["action"]?["reason_code"]
                && action["not_before"] == request["action"]?["not_before"]
                && action["undoes"] == request["action"]?["undoes"]
                && action["plan_digest"] == request["plan_digest"] && action["expires_at"] == request["expires_at"]
                && action["demands_sha256"]?.string == sha256((request["demands"] ?? .null).canonical).hex
                && (action["sealed"]?.object ?? [:]).allSatisfy { asked.leaf["sealed"]?[$0.key] == $0.value }
            guard isOwn else { throw PasskeyRefusal.otherAction }
            guard owners.entry(of: intent, before: asked.index) != nil else {
                report.findings.append("request (\(asked.id)): \(Self.unowned)")
                return
            }
            report.lines.append(
                "request by \(intent.person), entry \(asked.index): signed with a passkey (\(intent.key.algorithm.name)) at \(origin)."
            )
        } catch {
            report.findings.append("request (\(asked.id)): \(error.finding)")
        }
    }

    private func check(
        _ signature: JSON, of event: Proven, on request: JSON, _ owners: Owners,
        with cryptography: any PasskeyCryptography,
        _ report: inout Report
    ) {
        let person = signature["person"]?.string ?? "?"
        let decision = signature["decision"]?.string ?? "?"
        let statement = signature["statement"] ?? .null
        func wrong(_ what: String) { report.findings.append("\(decision) of \(person) (\(event.id)): \(what)") }
        let action = sha256((request["action"] ?? .null).canonical).hex
        if event.leaf["actor"]?["id"]?.string != person { wrong("the event is somebody else's.") }
        if signature["approval_id"]?.string != approvalID || statement["approval"]?.string != approvalID {
            wrong("it is about another request.")
        }
        if statement["action_sha256"]?.string != action { wrong("it is about another action.") }
        if statement["decision"]?.string != decision || statement["person"]?.string != person {
            wrong("the statement names another decision or person.")
        }
        guard statement["intent"] != nil else {
            report.lines.append(
                "\(decision) by \(person), entry \(event.index): method \(signature["method"]?.string ?? "?"), without a signature of its own."
            )
            return
        }
        guard let member = event.sealed["intent"] else {
            return wrong("what the passkey signed is not in the evidence.")
        }
        do throws(PasskeyRefusal) {
            let intent = try SignedIntent(evidence: member.value)
            guard intent.person == person else { return wrong("the passkey is somebody else's.") }
            guard intent.action == statement else { return wrong("the passkey signed another statement than is kept.") }
            let origin = try intent.check(with: cryptography)
            guard statement["action"] == request["action"] else { return wrong("it is about another action.") }
            guard owners.entry(of: intent, before: event.index) != nil else { return wrong(Self.unowned) }
            report.lines.append(
                "\(decision) by \(person), entry \(event.index): signed with a passkey (\(intent.key.algorithm.name)) at \(origin)."
            )
        } catch {
            wrong(error.finding)
        }
    }

    private static let unowned = "the log does not say that the passkey was registered by them before."

    private func checkDone(
        _ event: Proven, asked: Proven, _ request: JSON, _ agreed: [Agreed], _ report: inout Report
    ) {
        func wrong(_ what: String) { report.findings.append("What was done (\(event.id)): \(what)") }
        let action = request["action"]
        if action?["target"] != nil, event.leaf["target"] != action?["target"] { wrong("it is about another target.") }
        if event.leaf["reason_code"] != action?["reason_code"] { wrong("its reason code is another.") }
        if event.leaf["operation_id"] != action?["operation_id"] { wrong("it is another operation.") }
        // What an assistant proposed is done in its owner's name, and what a product reported in its token's.
        guard let requester = action?["requester"],
            event.leaf["actor"]?["id"] == requester || event.leaf["acting_as"] == requester
                || event.leaf["facts"]?[EventDraft.tokenFact] == requester
        else { return wrong("it is done in another's name.") }
        guard let closed = event.after(ApprovalRequest.type).first(where: { $0.id == approvalID })?.document else {
            return wrong("it does not close the request.")
        }
        if closed["state"] != "executed" || closed["outcome_event_id"]?.string != event.id {
            wrong("it closes the request otherwise.")
        }
        // Each person once, between the request and what was done.
        var seen: Set<String> = []
        let binding = agreed.filter {
            let statement = $0.statement
            return statement["plan_digest"] == closed["plan_digest"] && statement["round"] == closed["round"]
                && statement["demands_sha256"]?.string == sha256((closed["demands"] ?? .null).canonical).hex
                && (asked.index + 1..<max(event.index, asked.index + 1)).contains($0.index) && $0.isInTime
                && seen.insert(statement["person"]?.string ?? "").inserted
        }.map(\.statement)
        if binding.isEmpty { wrong("nobody agreed to the plan that was carried out.") }
        let signers = binding.map(Signer.init(statement:))
        let askers = [requester, action?["holder"]].compactMap { $0?.string }
        if signers.contains(where: { askers.contains($0.person) }) {
            wrong("whoever asked for it is among those who agreed.")
        }
        let needs = (closed["demands"]?.array ?? []).map { try? ApprovalNeed(json: $0) }
        if needs.isEmpty || needs.contains(where: { $0 == nil }) { wrong("what the rules demand can't be read.") }
        for case let need? in needs where !need.demand.isMet(by: signers) {
            wrong("those who agreed are not whom \(need.rule) demands: \(need.demand.sentence).")
        }
        let barred = (action?["barred"]?.array ?? []).compactMap(\.string)
        if signers.contains(where: { barred.contains($0.person) }) {
            wrong("somebody whom it is about is among those who agreed.")
        }
        report.lines.append(
            "It was carried out as entry \(event.index) (\(event.id)), as \(binding.count) agreed.")
    }
}

extension Signer {
    /// Who agreed, and what they signed as.
    fileprivate init(statement: JSON) {
        func held(_ name: String) -> Set<String> {
            Set((statement["as"]?[name]?.array ?? []).compactMap(\.string))
        }
        self.init(
            person: statement["person"]?.string ?? "", roles: held("roles"), permissions: held("permissions"))
    }
}

extension PasskeyRefusal {
    /// Said of evidence, where nobody can try again.
    var finding: String {
        switch self {
        case .malformed(let what): "the evidence can’t be read: \(what)."
        case .type: "what was signed is of another kind."
        case .otherAction: "the challenge is not made of this action and nonce."
        case .origin(let origin): "it was signed at another origin (\(origin.prefix(100)))."
        case .crossOrigin: "it was signed inside another site’s page."
        case .site: "the authenticator signed for another site."
        case .notPresent: "the authenticator says that nobody was there."
        case .notVerified: "the authenticator did not verify its owner."
        case .signature: "the passkey’s signature is wrong."
        default: sentence
        }
    }
}

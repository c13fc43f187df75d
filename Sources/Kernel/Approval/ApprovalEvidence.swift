/// What an outsider needs to verify a request without asking anybody: the log's receipts for what was asked, who agreed and
/// what was done, and in them what passkeys signed.
///
/// It holds only what stays when people are erased: commitments, digests and ids.
public struct ApprovalEvidence: Sendable {
    public static let version: Int64 = 1

    public let approvalID: String
    public let key: String
    public let receipts: [Receipt]

    public static func bundle(_ approval: String, key: String, receipts: [JSON]) -> JSON {
        [
            "version": .int(version), "approval_id": .string(approval), "key": .string(key),
            "receipts": .array(receipts),
        ]
    }

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
            let key = json["key"]?.string, let receipts = json["receipts"]?.array
        else { throw NoteError("This is no evidence: it lacks version, approval_id, key or receipts.") }
        guard version == Self.version else {
            throw NoteError("The evidence is of version \(version), which this program does not know.")
        }
        approvalID = approval
        self.key = key
        var read: [Receipt] = []
        for receipt in receipts { read.append(try Receipt(receipt)) }
        self.receipts = read
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

    /// Verifies all of it: that every event is in the log, every signature over the very action that was asked for, and what was
    /// done is what was agreed to.
    /// - Parameter log: the log's public key, from elsewhere than the evidence.
    public func verify(log: VerifierKey, with cryptography: any PasskeyCryptography) -> Report {
        var report = Report()
        var proven: [Proven] = []
        for (number, receipt) in receipts.enumerated() {
            do throws(NoteError) {
                try receipt.verify(key: log)
                proven.append(
                    Proven(leaf: try LeafReader(receipt.leaf).json, sealed: receipt.sealed, index: receipt.index))
            } catch {
                report.findings.append("Receipt \(number + 1): \(error.description)")
            }
        }
        guard let asked = proven.first(where: { $0.leaf["outcome"]?.string == EventOutcome.requested.rawValue }),
            asked.leaf["approval_id"]?.string == approvalID,
            let request = asked.after(ApprovalRequest.type).first(where: { $0.id == approvalID })?.document
        else {
            report.findings.append("The event that asked for \(approvalID) is not in the evidence, or can't be read.")
            return report
        }
        let operation = request["operation"]?.string ?? ""
        checkAsked(asked, request, with: cryptography, &report)
        report.lines.append("\(operation) was asked for as entry \(asked.index) (\(asked.id)).")
        for event in proven where event.leaf["approval_id"]?.string != approvalID {
            report.findings.append("\(event.id) is about another request.")
        }
        var agreed: [JSON] = []
        for event in proven {
            for (_, signature) in event.after(ApprovalSignature.type) {
                check(signature, of: event, on: request, with: cryptography, &report)
                if signature["decision"] == "approve" { agreed.append(signature["statement"] ?? .null) }
            }
        }
        for event in proven where event.action == operation && event.leaf["outcome"] == "applied" {
            checkDone(event, asked: asked, request, agreed, &report)
        }
        return report
    }

    /// Where whoever asked signed it: that it is what waits.
    private func checkAsked(
        _ asked: Proven, _ request: JSON, with cryptography: any PasskeyCryptography, _ report: inout Report
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
                && action["plan_digest"] == request["plan_digest"] && action["expires_at"] == request["expires_at"]
                && action["demands_sha256"]?.string == sha256((request["demands"] ?? .null).canonical).hex
                && (action["sealed"]?.object ?? [:]).allSatisfy { asked.leaf["sealed"]?[$0.key] == $0.value }
            guard isOwn else { throw PasskeyRefusal.otherAction }
            report.lines.append(
                "request by \(intent.person), entry \(asked.index): signed with a passkey (\(intent.key.algorithm.name)) at \(origin)."
            )
        } catch {
            report.findings.append("request (\(asked.id)): \(error.finding)")
        }
    }

    private func check(
        _ signature: JSON, of event: Proven, on request: JSON, with cryptography: any PasskeyCryptography,
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
            report.lines.append(
                "\(decision) by \(person), entry \(event.index): signed with a passkey (\(intent.key.algorithm.name)) at \(origin)."
            )
        } catch {
            wrong(error.finding)
        }
    }

    private func checkDone(
        _ event: Proven, asked: Proven, _ request: JSON, _ agreed: [JSON], _ report: inout Report
    ) {
        func wrong(_ what: String) { report.findings.append("What was done (\(event.id)): \(what)") }
        let action = request["action"]
        if action?["target"] != nil, event.leaf["target"] != action?["target"] { wrong("it is about another target.") }
        if event.leaf["reason_code"] != action?["reason_code"] { wrong("its reason code is another.") }
        if event.leaf["operation_id"] != action?["operation_id"] { wrong("it is another operation.") }
        if event.leaf["actor"]?["id"] != action?["requester"] { wrong("it is done in another's name.") }
        guard let closed = event.after(ApprovalRequest.type).first(where: { $0.id == approvalID })?.document else {
            return wrong("it does not close the request.")
        }
        if closed["state"] != "executed" || closed["outcome_event_id"]?.string != event.id {
            wrong("it closes the request otherwise.")
        }
        let binding = agreed.filter {
            $0["plan_digest"] == closed["plan_digest"] && $0["round"] == closed["round"]
                && $0["demands_sha256"]?.string == sha256((closed["demands"] ?? .null).canonical).hex
        }
        if binding.isEmpty { wrong("nobody agreed to the plan that was carried out.") }
        report.lines.append(
            "It was carried out as entry \(event.index) (\(event.id)), as \(binding.count) agreed.")
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

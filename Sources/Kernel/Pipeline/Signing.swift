// What a person signs with a passkey before it is done (spec: access §3, "Signed intent").
extension Pipeline {
    /// Whether an operation's action is signed where the person has a passkey.
    public static func isSigned(_ operation: String) -> Bool {
        operation == Decisions.approve.spec.name || operation == Decisions.reject.spec.name
    }

    /// The canonical action of a request as it stands now: what is shown to a passkey, and what has to come out the same when
    /// the request is carried out.
    public func action(of request: OperationRequest, by caller: Caller) async throws(OperationError) -> JSON {
        guard let site = settings.passkeySite, Self.isSigned(request.operation) else {
            throw .conflict("\(request.operation) is not signed with a passkey here.", legal: nil)
        }
        var request = request
        request.intent = nil
        let admitted = try await admit(request, by: caller, isPreview: true)
        let action: JSON?
        do {
            action = try await database.read { reader in
                let rehearsed = try admitted.operation.rehearse(
                    self.rehearsal(
                        admitted, stored: nil, eventID: Identifier.mint("evt", at: reader.now),
                        fresh: self.fresh(at: reader.now), signing: Signing(site: site.id, signed: nil)), reader)
                if let refusal = rehearsed.refusal { throw Self.error(for: refusal) }
                return rehearsed.plan?.changes.lazy.compactMap { $0.after as? ApprovalSignature }.first?.statement
            }
        } catch {
            throw translate(error, request)
        }
        guard let action else { throw .internalError("a decision without a statement") }
        return action
    }
}

extension Pipeline {
    /// The events that tell of a request, oldest first: what was asked, each decision of it, and what came of it.
    public func evidence(of id: String, by caller: Caller) async throws(OperationError) -> [String] {
        try await read("audit.view", by: caller) { reader in
            guard Identifier.isValid(id, prefix: ApprovalRequest.idPrefix),
                let request = try ApprovalRequest.load(id, from: reader)
            else { throw OperationError.notFound("There is no request \(id.prefix(60)).") }
            let signatures = try reader.query(self.records.signatures(approval: id)).map(ApprovalSignature.init)
            var events = [request.eventID]
            for event in [request.planEventID] + signatures.map(\.eventID) + [request.outcomeEventID].compactMap({ $0 })
            where !events.contains(event) { events.append(event) }
            return (
                events,
                Disclosure(
                    "approval.evidence", target: (ApprovalRequest.type, id), tenant: request.aboutTenant, count: 1,
                    ids: [id])
            )
        }
    }
}

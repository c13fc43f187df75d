import Kernel

/// The last super_admin is locked out. Whoever has the server's machine and its master key asks; everybody with a say is told by
/// mail, and for a day each super_admin who signs in can say no. The link is made now and works once the day is over.
public enum RecoverStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.recover", "Recover an account from the server",
        summary: "Asks for new factors for the last super admin; they are told, and it is carried out after 24 hours.",
        permission: "staff.reset_factors", risk: .critical, justification: OperationSpec.Justification.none,
        systemOnly: true)

    /// Whose holders are told.
    static let withSay = ["super_admin", "security"]

    public struct Facts: Sendable {
        let holds: Bool
        let pending: Recovery?
        /// Other people who can sign in: those who could ask for new factors, and those who could agree.
        let askers: Set<String>
        let signers: Set<String>
        /// Whom it is told.
        let told: [String]
    }

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: NoInput, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let id = target?.id ?? ""
        let rows = try reader.query([
            Grant.people(holding: ["super_admin"], at: reader.now),
            Grant.people(holding: withSay, at: reader.now), Recovery.pending(of: id),
        ])
        func able(_ rows: [Row]) throws -> Set<String> {
            Set(try rows.filter { try $0.int("is_able") == 1 }.map { try $0.string("id") }).subtracting([id])
        }
        return Facts(
            holds: try rows[0].contains { try $0.string("id") == id }, pending: try rows[2].first.map(Recovery.init),
            askers: try able(rows[0]), signers: try able(rows[1]), told: try rows[1].map { try $0.string("id") })
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let before = call.before
        guard before.status == .active, call.facts.holds else {
            throw .conflict(
                "\(before.email) is not an active super admin. Any super admin can help them in the console.")
        }
        if let pending = call.facts.pending {
            throw .conflict(
                """
                A recovery of \(before.email) was asked for already and is carried out at \(pending.executeAt.minuteText). The link \
                that was printed then works from that time on.
                """)
        }
        // One asks and another agrees: then nobody needs the server.
        let canBeReset = !call.facts.askers.isEmpty && call.facts.signers.count > 1
        guard !canBeReset else {
            throw .conflict(
                """
                Other super admins can sign in: one of them resets the factors of \(before.email) in the console, and another \
                person agrees. This is for when nobody can.
                """)
        }
        let start = call.now + Recovery.delay
        let recovery = Recovery(
            id: call.fresh.id("rcv"), staffID: before.id, name: before.name, requestedAt: call.now, executeAt: start)
        let link = Enrolment.Link(waiting: call.fresh, staff: before.id, at: call.now, from: start, lasting: .hours(24))
        return Plan(
            before.touched(at: call.now), also: [.create(recovery)], alsoWrite: link.statements,
            effects: call.facts.told.map { MailNotice.recoveryRequested.effect(to: $0) },
            facts: ["recovery": .string(recovery.id), "execute_at": .string(start.rfc3339)], reveal: link.reveal,
            consequence:
                "\(before.name) gets new factors at \(start.minuteText), unless a super admin cancels it before.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A super admin cancels the recovery in the console.")
    }

    /// Whom the servers tell, and by what: "mail to jo@company.example"; nobody where they have no channel. Whoever asks on the
    /// server's machine may have other settings than the servers.
    public static func told(_ reader: any Reader) throws -> [String] {
        var told: [String] = []
        if try ChannelState.isOn(.mail, reader) {
            let holders = try reader.query(Grant.people(holding: withSay, at: reader.now))
            let people = try holders.map { try $0.string("id") }
            if !people.isEmpty {
                let rows = try reader.query(Staff.select(people, lock: false, reader.dialect))
                told += try rows.map { "mail to \(try Staff($0).email)" }.sorted()
            }
        }
        if try ChannelState.isOn(.slack, reader) { told.append("the staff channel in Slack") }
        return told
    }
}

/// Says no to a recovery.
public enum CancelRecovery: Operation {
    public typealias Target = Recovery
    public static let spec = OperationSpec(
        "recovery.cancel", "Cancel recovery",
        summary: "Stops the recovery of an account from the server; its link never works.",
        permission: "staff.reset_factors", risk: .medium)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Recovery> {
        guard call.before.state == .pending else {
            throw .conflict("This recovery is \(call.before.state.rawValue) already.", legal: [])
        }
        return Plan(
            call.before.ended(.cancelled, by: call.person, at: call.now),
            alsoWrite: [EnrolmentQueries.cancel(of: call.before.staffID, at: call.now)],
            consequence: "The account of \(call.before.name) keeps its factors, and the link never works.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("It can be asked for again on the server.") }

    public static func unavailable(_ target: Recovery, now: Instant) -> Unavailable? {
        target.state == .pending ? nil : Unavailable("it is \(target.state.rawValue) already", isMoot: true)
    }
}

/// The day is over and nobody said no. The worker does this.
public enum CarryOutRecovery: Operation {
    public typealias Target = Recovery
    public static let spec = OperationSpec(
        "recovery.carry_out", "Carry a recovery out",
        summary: "Ends factors and sessions of the account, and lets the link work that was printed on the server.",
        permission: "staff.reset_factors", risk: .critical, justification: OperationSpec.Justification.none,
        systemOnly: true)

    public struct Facts: Sendable {
        let staff: Staff?
        let factors: [Factor]
    }

    public static func gather(_ input: NoInput, _ target: Recovery?, from reader: any Reader) throws -> Facts {
        let id = target?.staffID ?? ""
        return Facts(
            staff: try Staff.load(id, from: reader),
            factors: try reader.query(Factor.active(of: id)).map(Factor.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Recovery> {
        let before = call.before
        guard before.state == .pending else {
            throw .conflict("This recovery is \(before.state.rawValue) already.", legal: [])
        }
        guard before.executeAt <= call.now else {
            throw .conflict("The time of this recovery comes at \(before.executeAt.minuteText).")
        }
        guard let staff = call.facts.staff, staff.status == .active else {
            return Plan(
                before.ended(.cancelled, by: call.person, at: call.now),
                alsoWrite: [EnrolmentQueries.cancel(of: before.staffID, at: call.now)],
                consequence: "The account is not active any more: nothing is recovered.")
        }
        let renewal = FactorRenewal(of: staff, factors: call.facts.factors, by: call.person, at: call.now)
        return Plan(
            before.ended(.done, by: call.person, at: call.now),
            also: [.update(staff, to: renewal.after)] + renewal.changes,
            alsoWrite: renewal.statements + [
                EnrolmentQueries.open(waitingOf: staff.id, expires: call.now + .hours(24))
            ], effects: [MailNotice.factorsReset.effect(to: staff.id)],
            facts: ["factors": .int(Int64(call.facts.factors.count))],
            consequence:
                "\(staff.name) can set new factors with the link that was printed on the server, within 24 hours.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Factors that ended stay so. The link sets new ones.")
    }
}

/// Carries out recoveries whose time has come. Nothing is remembered that the tables don't say.
public struct RecoveryTurn: Sendable {
    private let pipeline: Pipeline

    public init(pipeline: Pipeline) { self.pipeline = pipeline }

    static let actor = Actor.system("recovery")

    /// - Returns: how many were carried out.
    @discardableResult
    public func turn() async throws -> Int {
        let due = try await pipeline.database.read { reader in
            try reader.query(Recovery.due(at: reader.now)).map { try $0.string("id") }
        }
        var done = 0
        for id in due {
            let caller = Caller(
                actor: Self.actor, person: Self.actor.id, displayName: "Postern", client: .worker,
                requestID: Identifier.mint("req", at: Clock.system.now))
            do throws(OperationError) {
                _ = try await pipeline.run(
                    OperationRequest(operation: CarryOutRecovery.spec.name, target: id), by: caller)
                done += 1
            } catch {
                // Somebody cancelled it at the same moment, or another server was quicker.
                guard case .conflict = error else { throw error }
            }
        }
        return done
    }
}

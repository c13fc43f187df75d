import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

/// What stands on the page of a tenant, a user or one of the staff.
@Suite struct ActivityWordsTests {
    private static func say(
        _ action: String, _ outcome: EventOutcome = .applied, class eventClass: EventClass = .mutation,
        by actor: Actor = Actor(.staff, "stf_1"), name: String? = "Mira O."
    ) -> String {
        let line = ActivityPage.Line(
            event: "evt_1", at: TestDatabase.start, eventClass: eventClass.rawValue, action: action,
            outcome: outcome.rawValue, actorKind: actor.kind.rawValue, actor: actor.id)
        let words = ActivityWords(line, name: name, catalog: Consoles.declared)
        return ([words.actor, words.verb, words.what].compactMap(\.self).filter { !$0.isEmpty }).joined(separator: " ")
            + words.end
    }

    @Test func `a line is a sentence of who did what`() {
        let postern = Actor.system("breakglass")
        let lines: [(said: String, sentence: String)] = [
            (Self.say("tenant.suspend"), "Mira O. suspended the tenant"),
            (Self.say("tenant.archive", .denied), "Mira O. tried to archive tenant, and was refused"),
            (Self.say("tenant.hard_delete", .requested, class: .approval), "Mira O. asked others to agree to “"),
            (Self.say("tenant.suspend", class: .access), "Mira O. previewed “Suspend tenant”"),
            (Self.say("tenant.view", class: .access), "Mira O. viewed the tenant"),
            (Self.say("export.end", class: .access), "Mira O. finished an export"),
            (Self.say("export.end", .failed, class: .access), "Mira O. began an export, which was broken off"),
            (Self.say("approval.approve", class: .approval), "Mira O. agreed to a request"),
            (
                Self.say("approval.expired", class: .approval, by: .system("approvals"), name: nil),
                "A request expired"
            ),
            (Self.say("breakglass.open", class: .incident), "Mira O. opened break-glass"),
            (
                Self.say("breakglass.expire", class: .incident, by: postern, name: nil),
                "Break-glass ended: its time was over"
            ),
            (
                Self.say("access_review.start_planned", by: .system("access_reviews"), name: nil),
                "The access review that was due has started"
            ),
            (Self.say("signin.succeeded", class: .authn), "Mira O. signed in"),
            (Self.say("delivery.sent", .failed, class: .effect, by: postern), "A notice could not be delivered"),
            (
                Self.say("registry.put_tenant", by: Actor(.runtime, "rtk_1"), name: nil),
                "Your product told of the customer"
            ),
            (
                Self.say("staff.recover", .denied, by: .system("recovery"), name: nil),
                "Somebody on the server’s machine tried to recover an account from the server, and was refused"
            ),
            (Self.say("tenant.suspend", by: Actor(.service, "sva_1"), name: "Billing"), "Billing suspended the tenant"),
        ]
        for line in lines { #expect(line.said.hasPrefix(line.sentence), "\(line.said)") }
    }

    @Test func `what Postern and the product do has words of its own, and none is for nothing`() {
        let names = Set(Consoles.declared.operations.map(\.spec.name))
        let own = Set(Consoles.declared.operations.filter(\.spec.systemOnly).map(\.spec.name))
        let known = Set(ActivityWords.deeds.keys).union(ActivityWords.facts.keys)
        #expect(own.subtracting(known).isEmpty, "\(own.subtracting(known).sorted())")
        let strange = known.subtracting(names).subtracting(EventWords.plain.keys)
        #expect(strange.isEmpty, "\(strange.sorted())")
    }
}

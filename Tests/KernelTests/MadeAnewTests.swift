import Testing

@testable import Kernel

/// What of a plan comes out otherwise when it is carried out.
@Suite struct MadeAnewTests {
    private static let planned = Instant(rfc3339: "2026-11-17T14:32:00Z")!
    private static let later = Span.days(1) + .minutes(1)

    /// A plan that gives two roles: its ids end with `seed`.
    private static func plan(_ seed: String, at now: Instant, _ roles: [String] = ["legal", "security"]) -> JSON {
        let endOfDay = Instant(microseconds: (now + .days(31)).microseconds / 86_400_000_000 * 86_400_000_000)
        let grants = roles.map { role -> JSON in
            [
                "type": "grant", "id": .string("grt_\(role)_\(seed)"),
                "after": [
                    "id": .string("grt_\(role)_\(seed)"), "role": .string(role), "staff_id": "stf_1",
                    "granted_at": JSON(now), "expires_at": JSON(now + .minutes(30)), "review_on": JSON(endOfDay),
                    "until": "2027-01-01T00:00:00.000000Z", "token": ["prefix": .string("pst_\(role)_\(seed)")],
                ],
            ]
        }
        let staff: JSON = [
            "type": "staff", "id": "stf_1", "before": ["id": "stf_1", "key": "old", "left_at": nil],
            "after": ["id": "stf_1", "key": .string("key_\(seed)"), "left_at": JSON(now)],
        ]
        return [
            "changes": .array([staff] + grants),
            "effects": [["kind": "mail", "name": "mail.x", "payload": ["to": "stf_1", "link": .string(seed)]]],
            "measures": .object([:]), "demands": [],
        ]
    }

    private static func found(_ plan: JSON, besides again: JSON) -> MadeAnew {
        MadeAnew(in: plan, planned: planned, besides: again, later: later, sameConsequence: true)
    }

    @Test func `ids, secrets and times that are counted from then are found, and nothing else`() {
        let plan = Self.plan("a", at: Self.planned)
        let anew = Self.found(plan, besides: Self.plan("b", at: Self.planned + Self.later))
        #expect(MadeAnew(json: anew.json) == anew)
        let rows = anew.rows(of: plan) { source, before in
            switch source {
            case .clock(let span): return .string("\(span.seconds) s")
            case .days(let days): return .string("\(days) days")
            case .value: return before.map { JSON.string("instead of \($0.canonicalText)") }
            }
        }
        #expect(rows.map(\.type) == ["staff", "grant", "grant"])
        #expect(rows.map(\.id) == ["stf_1", nil, nil])
        #expect(rows[0].after == ["id": "stf_1", "key": "instead of \"old\"", "left_at": "0 s"])
        #expect(
            rows[1].after
                == [
                    "role": "legal", "staff_id": "stf_1", "granted_at": "0 s", "expires_at": "1800 s",
                    "review_on": "30 days", "until": "2027-01-01T00:00:00.000000Z", "token": .object([:]),
                ])
        #expect(rows[1].anew.keys.sorted() == ["expires_at", "granted_at", "id", "review_on", "token.prefix"])
        #expect(anew.payload(["to": "stf_1", "link": "a"], at: 0) == ["to": "stf_1"])
        // What is left out where no words are given, and what stood there before is as it was.
        #expect(anew.rows(of: plan)[0].after == ["id": "stf_1"])
        #expect(anew.rows(of: plan)[0].before == plan["changes"]?.array?[0]["before"])
    }

    @Test func `rows in another order hide nothing but their ids`() {
        let plan = Self.plan("a", at: Self.planned)
        let again = Self.plan("b", at: Self.planned + Self.later, ["security", "legal"])
        let rows = Self.found(plan, besides: again).rows(of: plan)
        #expect(rows.map { $0.after?["role"]?.string } == [nil, "legal", "security"])
        #expect(rows.map(\.id) == ["stf_1", nil, nil])
    }

    @Test func `the same plan twice, and one of other rows, have nothing that is made anew`() {
        let plan = Self.plan("a", at: Self.planned)
        #expect(Self.found(plan, besides: plan) == MadeAnew())
        let fewer = Self.found(plan, besides: Self.plan("b", at: Self.planned, ["legal"]))
        #expect(fewer.rows(of: plan).map(\.id) == (plan["changes"]?.array ?? []).map { $0["id"]?.string })
        // A request from before this was sealed says nothing of it.
        #expect(MadeAnew(json: nil) == MadeAnew())
    }
}

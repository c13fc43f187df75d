/// What approvers' signatures are bound to: SHA-256 of the salt and the canonical plan, reduced to what it changes.
///
/// The plan is made once more when its time has come, from the same fields and the same clock reading. As `plan` is pure,
/// another digest means that something it depends on has moved. Fields nobody touches don't matter, and neither do a row's
/// version and time of change: they are left out, on both sides.
enum PlanDigest {
    /// - Parameter plan: as `Pipeline.planJSON` writes it, and as it is sealed with the event.
    static func hex(_ plan: JSON, salt: [UInt8]) -> String { sha256(salt + reduced(plan).canonical).hex }

    static func reduced(_ plan: JSON) -> JSON {
        guard var members = plan.object else { return plan }
        members["changes"] = .array((plan["changes"]?.array ?? []).map(reduced(change:)))
        return .object(members)
    }

    private static let bookkeeping: Set<String> = ["version", "updated_at"]

    private static func reduced(change: JSON) -> JSON {
        guard var members = change.object else { return change }
        let before = change["before"]?.object
        let after = change["after"]?.object ?? [:]
        let touched = Set(after.keys).union((before ?? [:]).keys).filter { name in
            !bookkeeping.contains(name) && (before == nil || before?[name] != after[name])
        }
        members["before"] = before.map { before in .object(before.filter { touched.contains($0.key) }) }
        members["after"] = .object(after.filter { touched.contains($0.key) })
        return .object(members)
    }

    /// What differs between two plans, field by field, for the people who sign again.
    static func difference(from old: JSON, to new: JSON) -> JSON {
        func fields(_ plan: JSON) -> [String: JSON] {
            var out: [String: JSON] = [:]
            for change in reduced(plan)["changes"]?.array ?? [] {
                let row = "\(change["type"]?.string ?? "") \(change["id"]?.string ?? "")"
                for side in ["before", "after"] {
                    for (name, value) in change[side]?.object ?? [:] { out["\(row) \(side) \(name)"] = value }
                }
            }
            for (index, effect) in (plan["effects"]?.array ?? []).enumerated() { out["effects \(index)"] = effect }
            for (name, value) in plan["measures"]?.object ?? [:] { out["measures \(name)"] = value }
            for (index, need) in (plan["demands"]?.array ?? []).enumerated() { out["demands \(index)"] = need }
            return out
        }
        let was = fields(old)
        let now = fields(new)
        return .array(
            Set(was.keys).union(now.keys).sorted().filter { was[$0] != now[$0] }.map { path in
                JSON.members([("path", .string(path)), ("was", was[path]), ("now", now[path])])
            })
    }
}

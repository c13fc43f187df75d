import HTML
import Kernel

/// What a tenant's own page says of its differences.
enum DriftNotice {
    static func banner(of tenant: Tenant, from reader: any Reader) throws -> Node {
        let open = try reader.query(DriftQueries.drifts(of: [tenant.id])).map(Drift.init).filter {
            $0.state == .open && $0.field.value(of: tenant) ?? "" != $0.theirs
        }
        guard !open.isEmpty else { return .none }
        let fields = open.map(\.field.rawValue).sorted().joined(separator: ", ")
        return UI.banner(
            .warn, "Your product says something else: \(fields).", "What stands here holds until it is settled.",
            action: UI.linkButton("See the difference", href: "/drifts?tenant=\(tenant.id)", size: .small))
    }
}

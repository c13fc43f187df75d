/// The people of Northwind Cloud, the company the demo is about.
struct DemoPerson: Sendable {
    let name: String
    let email: String
    let roles: [String]

    /// The first is created by bootstrap, and invites the others.
    static let all: [DemoPerson] = [
        DemoPerson("Jonas W.", "jonas.w", ["super_admin"]),
        DemoPerson("Ines K.", "ines.k", ["billing_ops"]),
        DemoPerson("Dele A.", "dele.a", ["finance_lead"]),
        DemoPerson("Samir B.", "samir.b", ["security"]),
        DemoPerson("Priya S.", "priya.s", ["engineering_oncall"]),
        DemoPerson("Mira O.", "mira.o", ["support_l2"]),
        DemoPerson("Tomas V.", "tomas.v", ["support_l1"]),
        DemoPerson("Keiko T.", "keiko.t", ["customer_success"]),
        DemoPerson("Noor H.", "noor.h", ["head_of_cs"]),
        DemoPerson("Ruth N.", "ruth.n", ["compliance"]),
        DemoPerson("Hana L.", "hana.l", ["super_admin"]),
    ]

    private init(_ name: String, _ mailbox: String, _ roles: [String]) {
        self.name = name
        email = "\(mailbox)@northwind.example"
        self.roles = roles
    }
}

/// The customers of Northwind Cloud.
struct DemoTenant: Sendable {
    let name: String
    let slug: String
    let plan: String
    let tier: String
    let region: String
    /// How long ago it became a customer.
    let ageInDays: Int64
    /// First and last names of its members; the first one owns it.
    let members: [(given: String, family: String)]

    /// `acme-robotics.example`
    var domain: String { "\(slug).example" }

    /// `ada.abara@acme-robotics.example`
    func email(of seat: Int) -> String {
        "\(members[seat].given).\(members[seat].family)".lowercased() + "@\(domain)"
    }

    /// Those that are not simply active when they are imported.
    static let statuses = [
        "cinder-labs": "ready", "lumen-orchard": "ready", "palisade-events": "failed", "orbit-ceramics": "expired",
        "saltmarsh-brewery": "cancelled", "nettle-and-co": "pending", "rowan-farms": "expired",
    ]

    private init(
        _ name: String, _ slug: String, _ plan: String, _ region: String, ageInDays: Int64, seats: Int, _ slot: Int
    ) {
        self.name = name
        self.slug = slug
        self.plan = plan
        tier = plan == "enterprise" ? "enterprise" : "standard"
        self.region = region
        self.ageInDays = ageInDays
        // Walks through both lists at different steps: no name twice within a tenant, the same ones on each machine.
        members = (0..<seats).map { seat in
            (
                Self.given[(slot * 7 + seat * 3) % Self.given.count],
                Self.family[(slot * 5 + seat * 11) % Self.family.count]
            )
        }
    }

    private static let given = [
        "Ada", "Bruno", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Imani", "Jonah", "Kavya", "Liam", "Marta",
        "Nils", "Olga", "Paolo", "Quinn", "Rosa", "Sven", "Tala", "Uma", "Viktor", "Wanda", "Xavi", "Yara", "Zeno",
        "Anouk", "Bashir", "Celia", "Diego", "Emre",
    ]
    private static let family = [
        "Abara", "Berg", "Castillo", "Duarte", "Eriksen", "Fontaine", "Grau", "Haddad", "Ivanova", "Jansen", "Kimura",
        "Lindqvist", "Moreau", "Nakata", "Okafor", "Petrov", "Quist", "Rossi", "Sato", "Tanaka", "Ueda", "Varga",
        "Weiss", "Xu", "Yilmaz", "Zhang", "Almeida", "Bauer", "Conti", "Demir", "Engel", "Fischer", "Gomez", "Horvat",
        "Ito", "Jung", "Kowalski",
    ]

    static let all: [DemoTenant] = table.enumerated().map { slot, row in
        DemoTenant(row.0, row.1, row.2, row.3, ageInDays: row.4, seats: row.5, slot)
    }

    private static let table: [(String, String, String, String, Int64, Int)] = [
        ("Acme Robotics", "acme-robotics", "business", "us-east", 1204, 12),
        ("Ashgrove Housing", "ashgrove-housing", "enterprise", "eu-west", 1630, 14),
        ("Blue Heron Clinics", "blue-heron-clinics", "enterprise", "eu-west", 980, 11),
        ("Brightwater Pools", "brightwater-pools", "business", "eu-west", 412, 5),
        ("Cinder Labs", "cinder-labs", "pro", "eu-west", 143, 3),
        ("Copperfield Schools", "copperfield-schools", "business", "eu-west", 730, 8),
        ("Dovetail Joinery", "dovetail-joinery", "pro", "eu-west", 511, 3),
        ("Ember Studios", "ember-studios", "business", "eu-west", 356, 6),
        ("Fjord Analytics", "fjord-analytics", "business", "eu-west", 644, 4),
        ("Foxglove Pharmacy", "foxglove-pharmacy", "business", "us-east", 287, 5),
        ("Granite Peak Gear", "granite-peak-gear", "pro", "us-east", 903, 4),
        ("Halcyon Hotels", "halcyon-hotels", "business", "eu-west", 1188, 9),
        ("Harborview Hospital", "harborview-hospital", "enterprise", "us-east", 1475, 15),
        ("Inkwell Press", "inkwell-press", "starter", "eu-west", 220, 2),
        ("Jasper Mining", "jasper-mining", "business", "us-east", 1010, 4),
        ("Juniper Legal", "juniper-legal", "business", "eu-west", 399, 5),
        ("Kestrel Aviation Parts", "kestrel-aviation-parts", "business", "us-east", 845, 6),
        ("Kingfisher Marine", "kingfisher-marine", "enterprise", "us-east", 1322, 12),
        ("Lattice Software", "lattice-software", "business", "eu-west", 605, 7),
        ("Lumen Orchard", "lumen-orchard", "pro", "us-east", 133, 2),
        ("Maple & Main Realty", "maple-and-main-realty", "business", "us-east", 777, 6),
        ("Marlow Freight", "marlow-freight", "enterprise", "eu-west", 1099, 10),
        ("Meridian Trust", "meridian-trust", "enterprise", "us-east", 1544, 13),
        ("Nettle & Co", "nettle-and-co", "starter", "eu-west", 188, 2),
        ("Northgate Foods", "northgate-foods", "enterprise", "eu-west", 1260, 11),
        ("Oakline Furniture", "oakline-furniture", "pro", "eu-west", 472, 4),
        ("Orbit Ceramics", "orbit-ceramics", "pro", "us-east", 256, 3),
        ("Osprey Security", "osprey-security", "business", "us-east", 688, 5),
        ("Palisade Events", "palisade-events", "starter", "us-east", 140, 2),
        ("Pelican Insurance", "pelican-insurance", "enterprise", "us-east", 1402, 14),
        ("Pinecrest Credit Union", "pinecrest-credit-union", "enterprise", "us-east", 1177, 9),
        ("Quarry Lane Dental", "quarry-lane-dental", "pro", "eu-west", 365, 3),
        ("Quill Accounting", "quill-accounting", "business", "ap-south", 590, 5),
        ("Red Kite Energy", "red-kite-energy", "business", "us-east", 823, 6),
        ("Rowan Farms", "rowan-farms", "starter", "us-east", 301, 2),
        ("Saltmarsh Brewery", "saltmarsh-brewery", "pro", "us-east", 434, 3),
        ("Silverbrook Vets", "silverbrook-vets", "business", "us-east", 912, 7),
        ("Tidewater Logistics", "tidewater-logistics", "business", "ap-south", 667, 6),
        ("Umber Coffee", "umber-coffee", "business", "us-east", 540, 8),
        ("Wexford Glass", "wexford-glass", "pro", "eu-west", 489, 3),
        ("Willow Street Bakery", "willow-street-bakery", "starter", "eu-west", 167, 2),
        ("Yarrow Biotech", "yarrow-biotech", "enterprise", "ap-south", 734, 10),
        ("Zephyr Cycles", "zephyr-cycles", "pro", "us-east", 245, 3),
    ]
}

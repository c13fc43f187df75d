import Kernel

/// What a list of people is narrowed to.
struct StaffFilter: Sendable {
    /// People with something to look at.
    enum Show: String, Sendable, CaseIterable {
        /// A role of theirs ends by itself within a week.
        case expiring
        /// They can't sign in: no factor beside the password.
        case noFactor = "no_factor"
        /// An exception of theirs waits for its review.
        case flagged
        /// They are here and have not signed in for so many days.
        case dormant

        var title: String {
            switch self {
            case .expiring: "A role ends within 7 days"
            case .noFactor: "Without a factor"
            case .flagged: "Roles held together, to review"
            case .dormant: "Not signed in for long"
            }
        }
    }

    /// How soon a role ends that is shown as ending.
    static let soon = Span.days(7)

    var email: String?
    var role: String?
    var status: Staff.Status?
    var show: Show?
    /// How long somebody who is dormant has not signed in.
    var days: Int64 = shippedDays
    static let shippedDays: Int64 = 60
    static let daysRange: ClosedRange<Int64> = 1...730

    static let parameters = ["email", "role", "status", "show", "days"]

    static let declared: [Read.Parameter] = [
        .init("email", "Only the person with this address."),
        .init("role", "Only people who hold this role now."),
        .init(
            "status", "Only people in this state.",
            schema: ["type": "string", "enum": .array(Staff.Status.allCases.map { .string($0.rawValue) })]),
        .init(
            "show",
            "Only people with a role that ends within 7 days, without a factor, with an exception to review, or who have not signed in for long.",
            schema: ["type": "string", "enum": .array(Show.allCases.map { .string($0.rawValue) })]),
        .init(
            "days", "With show=dormant: for how many days they have not signed in.",
            schema: [
                "type": "integer", "minimum": .int(daysRange.lowerBound), "maximum": .int(daysRange.upperBound),
                "default": .int(shippedDays),
            ]),
    ]

    init(_ query: [String: [String]]) throws(OperationError) {
        func given(_ name: String) -> String? { query[name]?.first.flatMap { $0.isEmpty ? nil : $0 } }
        var errors: [FieldError] = []
        func word<Value: RawRepresentable & CaseIterable>(_ name: String, _ type: Value.Type) -> Value?
        where Value.RawValue == String {
            guard let text = given(name) else { return nil }
            if let value = Value(rawValue: text) { return value }
            let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
            errors.append(FieldError(pointer: "?\(name)", detail: "\(name) must be one of \(words)."))
            return nil
        }
        email = given("email").map { String($0.lowercased().prefix(254)) }
        role = given("role").map { String($0.prefix(60)) }
        status = word("status", Staff.Status.self)
        show = word("show", Show.self)
        if let text = given("days") {
            if let value = Int64(text), Self.daysRange.contains(value) {
                days = value
            } else {
                errors.append(
                    FieldError(
                        pointer: "?days",
                        detail:
                            "days must be a whole number from \(Self.daysRange.lowerBound) to \(Self.daysRange.upperBound)."
                    ))
            }
        }
        guard errors.isEmpty else { throw .invalid(errors) }
    }

    var typed: [String: String] {
        var out: [String: String] = [:]
        out["email"] = email
        out["role"] = role
        out["status"] = status?.rawValue
        out["show"] = show?.rawValue
        if show == .dormant, days != Self.shippedDays { out["days"] = String(days) }
        return out
    }

    /// The list with this filter.
    func address() -> PageAddress { Self.address(typed) }

    /// The list with a filter as it was typed, without one of its words.
    static func address(_ typed: [String: String], without name: String? = nil) -> PageAddress {
        parameters.reduce(PageAddress(path: "/staff")) { address, parameter in
            guard parameter != name, let value = typed[parameter] else { return address }
            return address.with(parameter, value)
        }
    }
}

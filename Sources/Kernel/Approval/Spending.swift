// Money and the ladder it climbs (spec: access §3, "Money value", "Cumulative").
//
// An operation that moves money says so by two measures: `amount`, in minor units, and `currency`. What rules look at is
// made from them here:
//
//     amount        this and what went to the tenant in the last 24 hours without a second person's signature
//     currency      the one whose bands apply: its own where rules name it, else the base at the policy's rate, else "none"
//     actor_amount  this and what the person moved in the last 24 hours without one, in the base currency
//     over_limit    whether this is over the person's own limit, alone or with what they did in the last 24 hours
//
// What can't be converted counts as the greatest amount there is.

/// What the policy says other currencies are worth.
public struct Rates: Sendable, Hashable {
    /// Bands and allowances are kept in this one.
    public static let base = "USD"
    /// Millionths of a minor unit of the base for one minor unit.
    public let micros: [String: Int64]

    public init(micros: [String: Int64]) {
        self.micros = micros.filter { $0.value > 0 }.merging([Self.base: 1_000_000]) { _, own in own }
    }

    /// Of what `Records.rates` answers.
    init(_ rows: [Row]) throws {
        var micros: [String: Int64] = [:]
        for row in rows { micros[try row.string("id")] = try row.int("micros") }
        self.init(micros: micros)
    }

    /// Rounded up, so that nothing gets under a band by its currency; `nil` without a rate. What is too large to count is
    /// as large as can be.
    public func converted(_ amount: Int64, from: String, to: String) -> Int64? {
        if from == to { return amount }
        guard let a = micros[from], let b = micros[to], a > 0, b > 0 else { return nil }
        let (high, low) = amount.magnitude.multipliedFullWidth(by: a.magnitude)
        let divisor = b.magnitude
        guard high < divisor else { return .max }
        let (quotient, remainder) = divisor.dividingFullWidth((high, low))
        let rounded = quotient.addingReportingOverflow(remainder > 0 ? 1 : 0)
        guard !rounded.overflow, rounded.partialValue <= UInt64(Int64.max) else { return .max }
        return Int64(rounded.partialValue)
    }

    /// What rows of `currency` and `amount` come to.
    func sum(_ rows: [Row], in target: String) throws -> Int64 {
        try rows.reduce(Int64(0)) { sum, row in
            let part = converted(try row.int("amount"), from: try row.string("currency"), to: target) ?? .max
            return Self.plus(sum, part)
        }
    }

    static func plus(_ a: Int64, _ b: Int64) -> Int64 {
        let (value, overflow) = a.addingReportingOverflow(b)
        return overflow ? .max : value
    }
}

/// Money one operation moves.
public struct Spending: Sendable, Hashable {
    public let tenant: String
    public let person: String
    public let amount: Int64
    public let currency: String

    public init(tenant: String, person: String, amount: Int64, currency: String) {
        self.tenant = tenant
        self.person = person
        self.amount = amount
        self.currency = currency
    }

    /// `nil` for what moves no money.
    init?(_ measures: Measures, tenant: String?, person: String) {
        guard let amount = measures.values["amount"]?.int, let currency = measures.values["currency"]?.string else {
            return nil
        }
        // Whichever way it goes, it is money that moves.
        self.init(
            tenant: tenant ?? "", person: person, amount: amount == .min ? .max : abs(amount), currency: currency)
    }

    /// How far back is counted.
    static let period = Span.hours(24)

    /// Two that count against the same sum come one after the other.
    var guards: [Guard] { [Guard("spend:actor:\(person)"), Guard("spend:tenant:\(tenant)")].sorted() }

    /// The measures rules look at.
    /// - Parameters:
    ///   - tenantRows, personRows: `currency` and `amount` of the last 24 hours.
    func weighed(
        _ measures: Measures, covering rules: [ApprovalRule], rates: Rates, tenantRows: [Row], personRows: [Row],
        isOverLimit: Bool
    ) throws -> Measures {
        let hasBands = rules.contains { rule in
            rule.condition.tests["currency"]?.contains(.equals(.string(currency))) == true
        }
        let band = hasBands ? currency : rates.micros[currency] == nil ? "none" : Rates.base
        var out = measures
        let own = rates.converted(amount, from: currency, to: band) ?? amount
        out.values["amount"] = .int(Rates.plus(own, band == "none" ? 0 : try rates.sum(tenantRows, in: band)))
        out.values["currency"] = .string(band)
        out.values["actor_amount"] = .int(
            Rates.plus(
                rates.converted(amount, from: currency, to: Rates.base) ?? .max,
                try rates.sum(personRows, in: Rates.base)))
        out.values["over_limit"] = .bool(isOverLimit)
        return out
    }

    /// Why this is over a person's limits, in a sentence; `nil` when it is not: what one of their roles allows is allowed.
    /// - Parameter rows: `currency` and `amount` of what the person did by the same permission in the last 24 hours.
    func sentence(over lists: [[Limit]], rates: Rates, rows: [Row]) throws -> String? {
        var told: (sentence: String, most: Int64)?
        for limits in lists {
            guard let said = try sentence(over: limits, rates: rates, rows: rows) else { return nil }
            // They hear of the role that allows most.
            let most = limits.compactMap { rates.converted($0.amount, from: $0.currency, to: currency) }.max() ?? 0
            if most > told?.most ?? -1 { told = (said, most) }
        }
        return told?.sentence
    }

    /// The same for the limits of one role. What can't be converted is over them.
    private func sentence(over limits: [Limit], rates: Rates, rows: [Row]) throws -> String? {
        let carried = limits.filter { !$0.isCeiling }
        let own = carried.filter { $0.currency == currency }
        // A currency without its own row falls under the strictest of them.
        let asked = own.isEmpty ? carried : own
        var broken: [(limit: Limit, left: Int64?)] = []
        for limit in asked + limits.filter({ $0.isCeiling }) {
            let worth = rates.converted(amount, from: currency, to: limit.currency) ?? .max
            if worth > limit.amount {
                broken.append((limit, nil))
            } else if let daily = limit.daily {
                let spent = try rates.sum(rows, in: limit.currency)
                if Rates.plus(worth, spent) > daily { broken.append((limit, max(0, daily - spent))) }
            }
        }
        // Where there are several limits in one currency, what any of them allows is allowed.
        let within = Set(asked.filter { limit in !broken.contains { $0.limit == limit } }.map(\.currency))
        guard
            let (limit, left) = broken.first(where: { $0.limit.isCeiling || !within.contains($0.limit.currency) })
        else { return nil }
        let this = MoneyText.words(amount, currency)
        let advice =
            "Ask somebody whose limit is higher, or to have yours raised: Access shows what each role may do."
        guard let rest = left, let daily = limit.daily else {
            return "Your limit for this is \(MoneyText.words(limit.amount, limit.currency)); this is \(this). \(advice)"
        }
        let most = MoneyText.words(daily, limit.currency)
        return
            "Your limit for this is \(most) within 24 hours, of which \(MoneyText.words(rest, limit.currency)) is left; this is \(this). \(advice)"
    }
}

/// One row of `exchange_rates`: what the policy says a currency is worth.
public struct ExchangeRate: Sendable, Hashable {
    /// ISO 4217, upper case.
    public var id: String
    public var version: Int64
    /// Millionths of a minor unit of the base currency for one minor unit; 0 takes the rate away.
    public var micros: Int64

    public init(id: String, version: Int64 = 1, micros: Int64) {
        self.id = id
        self.version = version
        self.micros = micros
    }
}

extension ExchangeRate: Entity {
    public static let type = "exchange_rate"
    public static let idPrefix = "exchange_rate"
    public static let table = "exchange_rates"

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { id }
    public var document: JSON { ["id": .string(id), "version": .int(version), "micros": .int(micros)] }

    public static let columns = "id, version, micros"
    public init(_ row: Row) throws {
        self.init(id: try row.string("id"), version: try row.int("version"), micros: try row.int("micros"))
    }
    public var values: [Value] { [.text(id), .int(version), .int(micros)] }
}

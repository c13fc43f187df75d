/// What of a plan comes out otherwise when it is carried out: ids of rows that are not there yet, what is made of a secret, and
/// times that are counted from then. A plan that waits holds frozen ones, so that it can be compared later (`PlanDigest`);
/// whoever decides is not told those as if they came.
///
/// It is found by planning once more, from other fresh values and another clock reading: no operation declares it. It is sealed
/// beside the plan and is no part of its digest.
public struct MadeAnew: Sendable, Hashable {
    /// How a value comes to be.
    public enum Source: Sendable, Hashable {
        /// A time, this long after it runs.
        case clock(Span)
        /// A time, about as many days after the day it runs on.
        case days(Int64)
        /// Another one each time.
        case value

        /// `{"after_seconds": 1800}`, `{"after_days": 90}`, or `{}`.
        public var json: JSON {
            switch self {
            case .clock(let span): ["after_seconds": .int(span.seconds)]
            case .days(let days): ["after_days": .int(days)]
            case .value: .object([:])
            }
        }

        init(json: JSON) {
            if let seconds = json["after_seconds"]?.int {
                self = .clock(.seconds(seconds))
            } else if let days = json["after_days"]?.int {
                self = .days(days)
            } else {
                self = .value
            }
        }
    }

    /// One row of a plan as it can be told before it runs.
    public struct Row: Sendable {
        public let type: String
        /// `nil` where it is made anew.
        public let id: String?
        public let before: JSON?
        /// With what was put in the place of each value that is made anew, or without it.
        public let after: JSON?
        /// What is made anew of `after`, by its path: `ends_at`, `settings.token`.
        public let anew: [String: Source]
    }

    /// How much later a plan is made to be compared with another, in the order they are tried: some are refused by then. A time
    /// that goes by days moves by whole days, and every other one by all of it.
    static let shifts = [dayAndMinute, Span(microseconds: -dayAndMinute.microseconds), .minutes(1), .minutes(-1)]
    private static let dayAndMinute = Span.days(1) + .minutes(1)
    private static let day = Span.days(1).microseconds

    /// Where a value stands in a plan.
    private struct Place: Hashable {
        /// `changes` or `effects`.
        let part: String
        let index: Int
        /// JSON pointer (RFC 6901) into that change or effect.
        let path: String
    }

    private var found: [Place: Source] = [:]
    /// The sentence that says what comes of it names times, or something else that comes out otherwise.
    public private(set) var isInConsequence = false
    /// What is said beside it then.
    /// - Parameter isPreview: it was planned for a preview, and is not asked for yet.
    public static func ofConsequence(isPreview: Bool = false) -> String {
        let source = isPreview ? "those of this preview" : "from when it was asked for"
        return "Times and numbers in this sentence are \(source); they are made anew when it runs."
    }

    /// Whether any value is made anew, of a row or of what an effect carries.
    public var holdsValues: Bool { !found.isEmpty }

    public init() {}

    /// - Parameters:
    ///   - plan: as `Pipeline.planJSON` writes it, planned at `planned`.
    ///   - again: the same from other fresh values, with a clock that was `later`.
    init(in plan: JSON, planned: Instant, besides again: JSON, later: Span, sameConsequence: Bool) {
        isInConsequence = !sameConsequence
        var search = Search(planned: planned, later: later, besides: again)
        let rows = plan["changes"]?.array ?? []
        let others = again["changes"]?.array ?? []
        if rows.count == others.count {
            for (index, (row, other)) in zip(rows, others).enumerated() where row["type"] == other["type"] {
                search.compare(row["id"], other["id"], Place(part: Self.changes, index: index, path: "/id"))
                search.compare(row["after"], other["after"], Place(part: Self.changes, index: index, path: "/after"))
            }
        }
        for (index, (effect, other)) in zip(plan["effects"]?.array ?? [], again["effects"]?.array ?? []).enumerated()
        where effect["name"] == other["name"] {
            search.compare(
                effect["payload"], other["payload"], Place(part: Self.effects, index: index, path: "/payload"))
        }
        found = search.found
    }

    /// Reads what `json` wrote; of a plan that says nothing, nothing is made anew.
    public init(json: JSON?) {
        isInConsequence = json?["consequence"] == true
        for value in json?["values"]?.array ?? [] {
            guard let part = value["in"]?.string, let path = value["path"]?.string else { continue }
            for index in (value["at"]?.array ?? []).compactMap(\.int) {
                found[Place(part: part, index: Int(index), path: path)] = Source(json: value)
            }
        }
    }

    /// Many rows are alike: what is made anew in the same way stands there once, with the places of all of them.
    public var json: JSON {
        var groups: [[String]: (source: Source, places: [Int])] = [:]
        for (place, source) in found {
            let key = [place.part, place.path, source.json.canonicalText]
            groups[key, default: (source: source, places: [])].places.append(place.index)
        }
        let values = groups.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, group -> JSON in
            var members = group.source.json.object ?? [:]
            members["in"] = .string(key[0])
            members["path"] = .string(key[1])
            members["at"] = .array(group.places.sorted().map { .int(Int64($0)) })
            return .object(members)
        }
        return ["consequence": .bool(isInConsequence), "values": .array(values)]
    }

    private static let changes = "changes"
    private static let effects = "effects"

    /// The rows that a plan changes, as they can be told before it runs.
    /// - Parameter words: what stands in the place of a value that is made anew, where the row held another one before or none;
    ///   `nil` leaves it out.
    public func rows(of plan: JSON, _ words: (_ source: Source, _ before: JSON?) -> JSON? = { _, _ in nil }) -> [Row] {
        let changes = plan["changes"]?.array ?? []
        var rest: [Int: [String: Source]] = [:]
        for (place, source) in found where place.part == Self.changes {
            rest[place.index, default: [:]][place.path] = source
        }
        return changes.enumerated().map { index, change in
            let before = Self.present(change["before"])
            let after = Self.present(change["after"])
            guard let anew = rest[index] else {
                return Row(
                    type: change["type"]?.string ?? "", id: change["id"]?.string, before: before, after: after,
                    anew: [:])
            }
            var named: [String: Source] = [:]
            for (path, source) in anew where path.hasPrefix("/after/") {
                named[Self.dotted(path.dropFirst("/after/".count))] = source
            }
            return Row(
                type: change["type"]?.string ?? "", id: anew["/id"] == nil ? change["id"]?.string : nil, before: before,
                after: after.flatMap { Self.replace($0, "/after", anew, before, words) }, anew: named)
        }
    }

    /// What the effect at this place of a plan carries, without what is made anew.
    public func payload(_ payload: JSON, at index: Int) -> JSON {
        var anew: [String: Source] = [:]
        for (place, source) in found where place.part == Self.effects && place.index == index {
            anew[place.path] = source
        }
        return Self.replace(payload, "/payload", anew, nil) { _, _ in nil } ?? .object([:])
    }

    private static func present(_ json: JSON?) -> JSON? {
        guard let json, !json.isNull else { return nil }
        return json
    }

    private static func replace(
        _ json: JSON, _ path: String, _ found: [String: Source], _ before: JSON?,
        _ words: (Source, JSON?) -> JSON?
    ) -> JSON? {
        if let source = found[path] { return words(source, present(before)) }
        switch json {
        case .object(let members):
            var kept: [String: JSON] = [:]
            for (name, member) in members {
                let value = replace(member, "\(path)/\(escaped(name))", found, before?[name], words)
                if let value { kept[name] = value }
            }
            return .object(kept)
        case .array(let elements) where elements.contains { $0.object != nil }:
            return .array(
                elements.enumerated().map { index, element in
                    replace(element, "\(path)/\(index)", found, nil, words) ?? .null
                })
        default: return json
        }
    }

    fileprivate static func escaped(_ name: String) -> String {
        name.replacing("~", with: "~0").replacing("/", with: "~1")
    }

    private static func dotted(_ path: Substring) -> String {
        path.split(separator: "/").map { $0.replacing("~1", with: "/").replacing("~0", with: "~") }
            .joined(separator: ".")
    }

    /// A row in which nothing is made anew.
    fileprivate static func row(_ change: EntityChange) -> Row {
        Row(type: change.type, id: change.id, before: change.before, after: change.after, anew: [:])
    }

    /// Two plans side by side.
    private struct Search {
        let planned: Instant
        let later: Span
        /// Every value of the other plan. What stands there too is not made anew, but came in another order.
        private var standing: Set<JSON> = []
        /// Many rows hold the same time.
        private var read: [String: Instant?] = [:]
        private(set) var found: [Place: Source] = [:]

        init(planned: Instant, later: Span, besides again: JSON) {
            self.planned = planned
            self.later = later
            for row in again["changes"]?.array ?? [] {
                collect(row["id"])
                collect(row["after"])
            }
            for effect in again["effects"]?.array ?? [] { collect(effect["payload"]) }
        }

        private mutating func collect(_ json: JSON?) {
            switch json {
            case nil, .null?, .bool(_)?: break
            case .object(let members)?: for member in members.values { collect(member) }
            case .array(let elements)? where elements.contains { $0.object != nil }:
                for element in elements { collect(element) }
            case let value?: standing.insert(value)
            }
        }

        mutating func compare(_ value: JSON?, _ other: JSON?, _ place: Place) {
            guard let value, let other, value != other else { return }
            switch (value, other) {
            case (.object(let members), .object(let others)):
                for (name, member) in members { compare(member, others[name], within(place, name)) }
            case (.array(let elements), .array(let others))
            where elements.count == others.count && elements.allSatisfy { $0.object != nil }:
                for (index, element) in elements.enumerated() {
                    compare(element, others[index], within(place, String(index)))
                }
            case (.string(let text), .string(let another)):
                if let source = moved(text, another) {
                    found[place] = source
                } else if !standing.contains(value) {
                    found[place] = .value
                }
            case (.int, .int), (.decimal, .decimal), (.array, .array):
                if !standing.contains(value) { found[place] = .value }
            // What is there at one time and not at another is shown as it was planned.
            default: break
            }
        }

        private func within(_ place: Place, _ name: String) -> Place {
            Place(part: place.part, index: place.index, path: "\(place.path)/\(MadeAnew.escaped(name))")
        }

        private mutating func moved(_ text: String, _ other: String) -> Source? {
            guard let time = instant(text), let another = instant(other) else { return nil }
            let span = another - time
            if span == later { return .clock(time - planned) }
            guard span.microseconds != 0, span.microseconds % MadeAnew.day == 0 else { return nil }
            let days = Double((time - planned).microseconds) / Double(MadeAnew.day)
            return .days(Int64(days.rounded()))
        }

        private mutating func instant(_ text: String) -> Instant? {
            guard text.utf8.count >= 20, text.hasSuffix("Z") else { return nil }
            if let known = read[text] { return known }
            let instant = Instant(rfc3339: text)
            read[text] = .some(instant)
            return instant
        }
    }
}

extension Preview {
    /// The rows that it would change, as they can be told before it runs.
    /// - Parameter words: what stands in the place of a value that is made anew, as for `MadeAnew.rows`.
    public func rows(_ words: (_ source: MadeAnew.Source, _ before: JSON?) -> JSON?) -> [MadeAnew.Row] {
        anew.holdsValues
            ? anew.rows(of: ["changes": .array(changes.map(\.json))], words) : changes.map(MadeAnew.row)
    }
}

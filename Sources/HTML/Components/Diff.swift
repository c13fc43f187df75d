import Kernel

/// The difference of two JSON documents, field by field.
public struct DocumentDiff: Sendable, Equatable {
    public struct Line: Sendable, Equatable {
        /// `settings.locale`
        public let path: String
        /// `nil` when the field was absent.
        public let before: JSON?
        public let after: JSON?
    }

    /// Changed fields only, in the order they are read: what it is and what it is called, the rest by their paths, then times, and
    /// last what Postern keeps for itself.
    public let lines: [Line]

    /// Nested objects are flattened by dotted path; lists of plain values are compared as a whole. A `nil` document has no fields: a
    /// created entity shows all of its fields, a removed one all it had.
    public init(before: JSON?, after: JSON?) {
        var old: [String: JSON] = [:]
        var new: [String: JSON] = [:]
        if let before { Self.flatten(before, "", into: &old) }
        if let after { Self.flatten(after, "", into: &new) }
        lines = Set(old.keys).union(new.keys).sorted(by: Self.precedes).compactMap { path in
            old[path] == new[path] ? nil : Line(path: path, before: old[path], after: new[path])
        }
    }

    /// The order in which the fields of one document are read.
    public static func precedes(_ path: String, _ other: String) -> Bool {
        (place(path), path) < (place(other), other)
    }

    private static let first = ["status", "state", "name", "title", "label", "summary", "slug", "email"]
    private static let last: Set<String> = ["id", "version", "resumes_to", "then_resumes_to"]

    /// Where a field is read among the others of one document.
    private static func place(_ path: String) -> Int {
        let member = String(path.prefix { $0 != "." })
        if let place = first.firstIndex(of: member) { return place }
        if last.contains(member) || member.hasSuffix("event_id") || member.hasSuffix("_sha256") {
            return first.count + 2
        }
        return member.hasSuffix("_at") || member.hasSuffix("_since") ? first.count + 1 : first.count
    }

    /// Lists of objects are numbered from 1: `demands.1.rule`; amounts of money go by their currency: `limits.USD`. What a
    /// rule demands, and when, stays whole: it is said in one sentence.
    private static func flatten(_ json: JSON, _ path: String, into out: inout [String: JSON]) {
        switch json {
        case .object where rule(json, path) != nil: out[path] = json
        case .array(let elements) where isMoney(elements):
            for element in elements { out["\(path).\(element["currency"]?.string ?? "")"] = element }
        case .object(let members) where !members.isEmpty || path.isEmpty:
            for (name, value) in members { flatten(value, path.isEmpty ? name : "\(path).\(name)", into: &out) }
        case .array(let elements) where elements.contains { !($0.object ?? [:]).isEmpty }:
            for (index, value) in elements.enumerated() { flatten(value, "\(path).\(index + 1)", into: &out) }
        default: out[path.isEmpty ? "value" : path] = json
        }
    }

    /// The members of an approval rule in words; `nil` for everything else.
    private static func rule(_ json: JSON, _ path: String) -> String? {
        switch path {
        case "condition": Condition(json)?.sentence
        case "demand": Demand(json)?.sentence
        default: nil
        }
    }

    /// Amounts in minor units, one of each currency, perhaps with what a day may come to.
    private static func isMoney(_ elements: [JSON]) -> Bool {
        let currencies = elements.compactMap { money($0)?.currency }
        return !elements.isEmpty && Set(currencies).count == elements.count
    }

    private static func money(_ json: JSON) -> Limit? {
        guard let limit = Limit(json), json.object?.count == (limit.daily == nil ? 2 : 3) else { return nil }
        return limit
    }

    /// Fields and types whose names in the log are not what people say.
    private static let labels = [
        "breakglass": "Break-glass", "condition": "Applies when", "cooldown_seconds": "Waits before it runs",
        "csm_id": "Customer success manager", "demand": "Who must agree", "first_roles": "One side",
        "micros": "US dollars for one",
        "owner_id": "Owner", "resumes_to": "Once restored", "revoked": "Taken away", "second_roles": "Other side",
        "solo": "Alone", "then_resumes_to": "And restored again", "window_seconds": "Time to sign",
    ]

    private static let spelled = ["email": "e-mail", "ip": "IP", "scim": "SCIM", "url": "URL"]

    /// A field's path as people say it: `status_since` → "Status since", `settings.locale` → "Settings, locale".
    public static func label(_ path: String) -> String {
        if let label = labels[path] { return label }
        // Its value says the unit.
        let name = path.hasSuffix("_seconds") ? String(path.dropLast("_seconds".count)) : path
        let words = name.replacing(".", with: ", ").split(separator: "_").map { spelled[String($0)] ?? String($0) }
            .joined(separator: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    /// A thing by its kind and its name: "Tenant Acme". A name that says the kind itself stands alone: "Membership of Ada as
    /// member".
    public static func subject(_ type: String, _ name: String?) -> String {
        let noun = label(type)
        let called = (name ?? "").split(separator: " ").joined(separator: " ")
        guard !called.isEmpty else { return noun }
        return " \(called.lowercased()) ".contains(" \(noun.lowercased()) ") ? called : "\(noun) \(called)"
    }

    /// The name of a field whose value is said by what it is called: `tenant_id` of Acme → "Tenant".
    static func label(naming path: String) -> String {
        guard labels[path] == nil, path.hasSuffix("_id") else { return label(path) }
        return label(String(path.dropLast("_id".count)))
    }

    /// What stands in the place of a time that is counted from when a plan runs.
    public static func whenItRuns(after span: Span) -> String {
        guard span.seconds != 0 else { return running }
        return span.seconds > 0
            ? "\(Self.span(span.seconds)) after it runs" : "\(Self.span(-span.seconds)) before it runs"
    }

    /// The same of one that goes by days.
    public static func whenItRuns(afterDays days: Int64) -> String {
        switch days {
        case 0: "on the day it runs"
        case 1: "about a day after it runs"
        default: "about \(days) days after it runs"
        }
    }

    /// What stands in the place of a value that is made anew when a plan runs; a row that is not there yet does without.
    public static func whenItRuns(_ source: MadeAnew.Source, _ before: JSON?) -> JSON? {
        switch source {
        case .clock(let span): return .string(whenItRuns(after: span))
        case .days(let days): return .string(whenItRuns(afterDays: days))
        case .value:
            guard before != nil else { return .none }
            return .string("another one, made when it runs")
        }
    }

    private static let running = "when it runs"

    /// A document as it is told: the pairs of roles that are kept apart stand in the place of two lists of roles.
    static func told(_ document: JSON?, _ names: [String: String]) -> JSON? {
        guard var members = document?.object, let first = members["first_roles"]?.array,
            let second = members["second_roles"]?.array
        else { return document }
        members["first_roles"] = nil
        members["second_roles"] = nil
        func title(_ role: JSON) -> String { names[roleKey(words(role))] ?? words(role) }
        members["kept_apart"] = .array(
            first.flatMap { one in second.map { .string("\(title(one)) and \(title($0))") } })
        return .object(members)
    }

    /// Fields that tell whoever decides nothing: every change moves them, or the form and the request say it in words.
    private static let known: Set<String> = ["version", "updated_at", "reason_code"]

    /// What somebody has to know of a plan before they sign it: beside what is essential whom and what a new thing is about, and
    /// until when it lasts.
    /// - Parameter names: of those who are known by name. An id that is nobody's is left out.
    private func planned(_ names: [String: String]) -> [Line] {
        lines.filter { line in
            if Self.known.contains(line.path) { return false }
            guard line.before == nil, let after = line.after else { return true }
            if line.path.hasSuffix("_sha256") { return false }
            if let text = after.string {
                // That it begins when it begins is known.
                if text == Self.running { return false }
                if Self.isOwnID(text), names[text] == nil { return false }
            }
            return after != .null && after != .object([:]) && after != .array([])
        }
    }

    /// Fields that name roles of staff by their codes.
    private static let roleFields: Set<String> = ["role", "roles", "first_roles", "second_roles"]

    /// Where the title of a role stands among the names of a difference: its code alone may be another field's value.
    static func roleKey(_ code: String) -> String { "role:\(code)" }

    private static func codes(_ value: JSON?) -> [String] {
        value?.string.map { [$0] } ?? (value?.array ?? []).compactMap(\.string)
    }

    /// The keys of the roles that a line names.
    static func roleKeys(_ line: Line) -> [String] {
        guard roleFields.contains(line.path) else { return [] }
        return (codes(line.before) + codes(line.after)).map(roleKey)
    }

    /// Roles by their titles; `nil` for everything else, and where none of them has one.
    static func titles(_ value: JSON, at path: String, _ names: [String: String]) -> String? {
        guard roleFields.contains(path) else { return nil }
        let found = codes(value)
        guard found.contains(where: { names[roleKey($0)] != nil }) else { return nil }
        return found.map { names[roleKey($0)] ?? $0 }.joined(separator: ", ")
    }

    /// What every change moves by itself, and what a new thing does not have: left out where a person decides, never in
    /// the record.
    var essential: [Line] {
        lines.filter { line in
            if Self.known.contains(line.path) { return false }
            guard line.before == nil, let after = line.after else { return true }
            // A digest of a secret that nobody has seen yet tells nobody anything.
            if line.path.hasSuffix("_sha256") { return false }
            if let text = after.string, text == Self.running || Self.isOwnID(text) || line.path.hasSuffix("_at") {
                return false
            }
            return after != .null && after != .object([:])
        }
    }

    /// An id of Postern's: what a new thing refers to is said by its title and by who asks.
    private static func isOwnID(_ text: String) -> Bool {
        text.split(separator: "_", maxSplits: 1).first.map { Identifier.isValid(text, prefix: String($0)) } ?? false
    }

    /// Without the lines that only say that something empty got members, or lost them: those stand in lines of their own.
    private static func withoutEmpty(_ lines: [Line]) -> [Line] {
        lines.filter { line in
            guard isEmpty(line.before), isEmpty(line.after) else { return true }
            return !lines.contains { $0.path.hasPrefix(line.path + ".") }
        }
    }

    private static func isEmpty(_ value: JSON?) -> Bool {
        switch value {
        case nil, .null?: true
        case .object(let members)?: members.isEmpty
        case .array(let elements)?: elements.isEmpty
        default: false
        }
    }

    /// The lines a page shows.
    /// - Parameter names: of people and tenants, by their ids.
    func shown(_ fields: UI.DiffFields, names: [String: String] = [:]) -> [Line] {
        switch fields {
        case .essential: Self.withoutEmpty(essential)
        case .planned: Self.withoutEmpty(planned(names))
        case .all: Self.withoutEmpty(lines)
        }
    }

    /// A value as people say it: times without fractions, "none" for what is empty, seconds as days, hours or minutes.
    /// - Parameter path: the field it stands in, where that says what it counts.
    public static func spoken(_ value: JSON, at path: String = "") -> String {
        if let sentence = rule(value, path) { return sentence }
        if let sum = money(value) { return sum.words }
        switch value {
        case .int(let seconds) where path.hasSuffix("_seconds") && seconds >= 0: return span(seconds)
        case .int(let micros) where path == "micros" && micros >= 0: return rate(micros)
        case .null: return "none"
        case .bool(let isOn): return isOn ? "yes" : "no"
        case .object(let members) where members.isEmpty: return "none"
        case .array(let elements) where elements.isEmpty: return "none"
        case .string(let text):
            guard text.utf8.count >= 20, text.hasSuffix("Z"), let instant = Instant(rfc3339: text) else {
                return words(value)
            }
            return TimeText.utc(instant)
        default: return words(value)
        }
    }

    /// Millionths as a decimal number; there is no rate of nothing.
    private static func rate(_ micros: Int64) -> String {
        guard micros > 0 else { return "none" }
        let (whole, part) = micros.quotientAndRemainder(dividingBy: 1_000_000)
        var digits = String(String(part + 1_000_000).dropFirst())
        while digits.last == "0" { digits.removeLast() }
        return digits.isEmpty ? "\(whole)" : "\(whole).\(digits)"
    }

    private static func span(_ seconds: Int64) -> String { TimeText.exactly(.seconds(seconds)) }

    /// A value as it is: text bare, lists joined by commas, everything else as JSON.
    public static func words(_ value: JSON) -> String {
        switch value {
        case .string(let text): text.isEmpty ? "\"\"" : text
        case .array(let elements) where !elements.isEmpty && elements.allSatisfy({ $0.string != nil || $0.int != nil }):
            elements.map { $0.string ?? $0.canonicalText }.joined(separator: ", ")
        default: value.canonicalText
        }
    }
}

extension UI {
    /// How many parts of one thing a page shows at once; the rest is a click away.
    public static let atOnce = 50

    public struct DiffGroup: Sendable {
        public let title: String?
        /// Stands behind the title.
        public let id: String?
        public let before: JSON?
        public let after: JSON?
        public init(title: String?, id: String? = nil, before: JSON?, after: JSON?) {
            self.title = title
            self.id = id
            self.before = before
            self.after = after
        }

        /// "Membership of ada@example.com mem_…": what changes, by noun, name and id.
        /// - Parameter id: `nil` of what has none yet.
        public init(type: String, name: String?, id: String?, before: JSON?, after: JSON?) {
            // It stands behind the title. As a word of its own: an id that people chose may be within one.
            let called = name.map { $0.split(separator: " ").filter { $0 != id ?? "" }.joined(separator: " ") }
            self.init(title: DocumentDiff.subject(type, called), id: id, before: before, after: after)
        }
    }

    /// Which of the changed fields a difference shows.
    public enum DiffFields: Sendable {
        /// Those a person decides about.
        case essential
        /// Those of a plan that waits: a new thing also says whom it is about and until when.
        case planned
        /// Every one: the record.
        case all
    }

    /// Before → after, grey and tinted; a change is neither good nor bad. Unchanged fields are hidden; names and values
    /// are in words, what the log holds stands in their titles. Where nothing was there before, only what comes is shown.
    /// - Parameters:
    ///   - captions: "Now"/"After" in a preview, "Before"/"After" in the record.
    ///   - showsCaption: false where the heading above says the same.
    ///   - showsBefore: true where it is told even of what is not there at all: two things are compared.
    ///   - rest: how to see the groups beyond the first `atOnce`; without it all are shown.
    ///   - names: of people, by their ids, and of roles (`PeopleNames`): whoever is known by name is called by it.
    public static func diff(
        _ groups: [DiffGroup], caption: String, captions: (before: String, after: String) = ("Before", "After"),
        fields: DiffFields = .essential, showsCaption: Bool = true, showsBefore: Bool = false, rest: Node? = nil,
        names: [String: String] = [:]
    ) -> Node {
        let groups = fields == .all ? groups : changing(groups, fields, names)
        let shown = (rest == nil ? groups[...] : groups.prefix(atOnce)).map { group in
            (group: group, lines: lines(group, fields, names))
        }
        let isMade = !showsBefore && areNew(shown.flatMap { $0.lines })
        let table = el("table", .class(isMade ? "diff diff--made" : "diff")) {
            el("caption", .when(!showsCaption, .class("vh"))) { caption }
            el("thead") {
                el("tr") {
                    el("th", Attribute("scope", "col")) { hiddenText("Field") }
                    if !isMade { el("th", Attribute("scope", "col")) { captions.before } }
                    el("th", Attribute("scope", "col")) { captions.after }
                }
            }
            for part in shown { body(part.group, part.lines, isMade: isMade, fields, names) }
        }
        guard let rest, groups.count > shown.count else { return table }
        return table + more(groups.count - shown.count, rest)
    }

    /// Without those of a few groups in which nothing changes that a person decides about, unless that is all there is.
    private static func changing(
        _ groups: [DiffGroup], _ fields: DiffFields, _ names: [String: String]
    ) -> [DiffGroup] {
        guard groups.count > 1, groups.count <= atOnce else { return groups }
        let found = groups.filter {
            !DocumentDiff(before: $0.before, after: $0.after).shown(fields, names: names).isEmpty
        }
        return found.isEmpty ? groups : found
    }

    /// "And 12 more", with the way to see them.
    public static func more(_ count: Int, _ way: Node) -> Node {
        el("p", .class("row more")) {
            muted("and \(Grouped.digits(count)) more")
            way
        }
    }

    /// The lines of one group that are shown.
    private static func lines(
        _ group: DiffGroup, _ fields: DiffFields, _ names: [String: String]
    ) -> [DocumentDiff.Line] {
        let difference =
            fields == .all
            ? DocumentDiff(before: group.before, after: group.after)
            : DocumentDiff(
                before: DocumentDiff.told(group.before, names), after: DocumentDiff.told(group.after, names))
        // The id of what is new stands in the heading.
        return difference.shown(fields, names: names).filter { line in
            fields == .all || line.path != "id" || line.after?.string == nil || line.after?.string != group.id
        }
    }

    /// Nothing of it was there before.
    private static func areNew(_ lines: [DocumentDiff.Line]) -> Bool {
        !lines.isEmpty && lines.allSatisfy { $0.before == nil }
    }

    private static func body(
        _ group: DiffGroup, _ lines: [DocumentDiff.Line], isMade: Bool, _ fields: DiffFields, _ names: [String: String]
    ) -> Node {
        let width = isMade ? "2" : "3"
        func value(_ tag: StaticString, _ value: JSON, at path: String) -> Node {
            let named = DocumentDiff.titles(value, at: path, names) ?? value.string.flatMap { names[$0] }
            let spoken = named ?? DocumentDiff.spoken(value, at: path)
            let exact = DocumentDiff.words(value)
            return el(tag, .when(spoken != exact, .title(exact))) { cuttable(spoken) }
        }
        func label(_ line: DocumentDiff.Line) -> String {
            let isNamed = [line.before, line.after].contains { $0?.string.flatMap { names[$0] } != nil }
            return fields == .planned && isNamed
                ? DocumentDiff.label(naming: line.path) : DocumentDiff.label(line.path)
        }
        return el("tbody") {
            if let title = group.title {
                el("tr", .class("group")) {
                    el("th", Attribute("scope", "rowgroup"), Attribute("colspan", width)) {
                        named(title, names)
                        if let id = group.id { Node(" ") + self.id(id) }
                    }
                }
            }
            if lines.isEmpty {
                el("tr") { el("td", .class("same"), Attribute("colspan", width)) { "No field changes." } }
            }
            for line in lines {
                el("tr") {
                    el("th", Attribute("scope", "row"), .title(line.path)) { label(line) }
                    if !isMade {
                        el("td", .class("long")) {
                            if let before = line.before {
                                value("del", before, at: line.path)
                            } else {
                                el("span", .class("muted"), Attribute("aria-hidden", "true")) { "–" }
                                hiddenText("absent")
                            }
                        }
                    }
                    el("td", .class("long")) {
                        if let after = line.after {
                            value("ins", after, at: line.path)
                        } else {
                            el("ins") { "removed" }
                        }
                    }
                }
            }
        }
    }

    /// Words are whole; what is no word, a code, an address or a hash, is cut wherever it must be.
    private static func cuttable(_ text: String) -> Node {
        func isCode(_ part: Substring) -> Bool {
            part.split(separator: "\n").contains { word in
                word.count > 15 || word.count > 10 && word.contains { "/.:_@".contains($0) }
            }
        }
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.contains(where: isCode) else { return Node(text) }
        var out = Node.none
        for (index, part) in parts.enumerated() {
            if index > 0 { out = out + Node(" ") }
            out = out + (isCode(part) ? el("span", .class("cut")) { String(part) } : Node(String(part)))
        }
        return out
    }

    /// A heading with the names of people in the place of their ids.
    private static func named(_ title: String, _ names: [String: String]) -> String {
        guard !names.isEmpty else { return title }
        return title.split(separator: " ", omittingEmptySubsequences: false).map { names[String($0)] ?? String($0) }
            .joined(separator: " ")
    }

    /// The differences of one entity.
    public static func diff(
        before: JSON?, after: JSON?, caption: String = "What changed",
        captions: (before: String, after: String) = ("Before", "After"), fields: DiffFields = .essential,
        showsBefore: Bool = false
    ) -> Node {
        diff(
            [DiffGroup(title: nil, before: before, after: after)], caption: caption, captions: captions, fields: fields,
            showsBefore: showsBefore)
    }
}

import Kernel

/// Carries out a patch on a resource as it stands (RFC 7644 §3.5.2), leniently where Entra ID and Okta are known to differ
/// from it: words of operations in any case, `"False"` for false, dotted names inside a value, members to remove as a value.
struct ScimPatch {
    let attributes: [ScimSchemas.Attribute]
    private(set) var resource: [String: JSON]
    /// How many values were given so far.
    private var given = 0
    /// What the values of an attribute are told apart by, as long as they are only added to: a provider adds members one by one.
    private var known: [String: Set<String>] = [:]

    /// More operations than this are nothing a provider sends at once.
    static let mostOperations = 1000
    /// More values than this are not given to an attribute at once, nor by a whole patch.
    static let mostValues = (atOnce: 2000, inAll: 10_000)

    init(_ resource: JSON, attributes: [ScimSchemas.Attribute]) {
        self.resource = resource.object ?? [:]
        self.attributes = attributes
    }

    private enum Word: String { case add, replace, remove }

    /// The operations of a body.
    mutating func apply(_ body: JSON) throws(ProvisioningError) {
        guard let operations = ScimFilter.member("Operations", of: body)?.value.array, !operations.isEmpty else {
            throw ProvisioningError(.invalidSyntax, "A patch has Operations, a list of what is to change.")
        }
        guard operations.count <= Self.mostOperations else {
            throw ProvisioningError(.tooMany, "A patch has at most \(Self.mostOperations) operations.")
        }
        for operation in operations {
            guard let name = ScimFilter.member("op", of: operation)?.value.string,
                let word = Word(rawValue: name.lowercased())
            else { throw ProvisioningError(.invalidSyntax, "op must be add, replace or remove.") }
            let value = ScimFilter.member("value", of: operation)?.value
            switch ScimFilter.member("path", of: operation)?.value {
            case nil, .null?, .string("")?: try applyWhole(word, value)
            case .string(let path)?: try apply(word, at: path, value)
            default: throw ProvisioningError(.invalidPath, "path must be text.")
            }
        }
    }

    /// Without a path the value names what it is about.
    private mutating func applyWhole(_ word: Word, _ value: JSON?) throws(ProvisioningError) {
        guard word != .remove else {
            throw ProvisioningError(.noTarget, "remove needs a path that says what is to go.")
        }
        guard let members = value?.object else {
            throw ProvisioningError(.invalidValue, "Without a path the value must be an object of attributes.")
        }
        for name in members.keys.sorted() {
            guard let value = members[name] else { continue }
            let folded = name.lowercased()
            // Said of the resource, and nothing of it to change; other schemas are not kept.
            if folded == "schemas" || (folded == "id" && resource["id"] == value) { continue }
            if folded.hasPrefix("urn:"), value.object != nil, !folded.contains(":user:"), !folded.contains(":group:") {
                if [ScimSchemas.user.lowercased(), ScimSchemas.group.lowercased()].contains(folded) {
                    try applyWhole(word, value)
                }
                continue
            }
            // Providers repeat what they were told.
            if let known = attribute(name), known.isReadOnly { continue }
            if folded == "meta" { continue }
            try apply(word, at: name, value)
        }
    }

    private func attribute(_ name: String) -> ScimSchemas.Attribute? {
        let folded = name.lowercased()
        if folded == "externalid" {
            return ScimSchemas.Attribute(name: "externalId", help: "", isExact: true)
        }
        return attributes.first { $0.name.lowercased() == folded }
    }

    private mutating func apply(_ word: Word, at text: String, _ value: JSON?) throws(ProvisioningError) {
        let target: ScimParser.Target
        do throws(ScimSyntaxError) {
            target = try ScimParser.target(text)
        } catch {
            throw ProvisioningError(.invalidPath, "The path \"\(text.prefix(60))\" can't be read. \(error.detail)")
        }
        let name = target.path.attribute
        // Another schema's.
        guard !name.contains(":") else { return }
        guard let attribute = attribute(name) else {
            if ScimSchemas.letGo.contains(name.lowercased()) { return }
            if ["id", "meta", "schemas"].contains(name.lowercased()) {
                throw ProvisioningError(.mutability, "\(name) can't be changed.")
            }
            throw ProvisioningError(.invalidPath, "There is no attribute \(name.prefix(60)).")
        }
        guard !attribute.isReadOnly else {
            throw ProvisioningError(.mutability, "\(attribute.name) can't be changed here.")
        }
        guard attribute.type == "complex" || (target.filter == nil && target.path.sub == nil) else {
            throw ProvisioningError(.invalidPath, "\(attribute.name) has no parts.")
        }
        if word != .remove, value == nil {
            throw ProvisioningError(.invalidValue, "\(word.rawValue) needs a value.")
        }
        let sub = try target.path.sub.map { sub throws(ProvisioningError) in try part(sub, of: attribute) }
        // A part of a name that is not kept.
        if case .some(.none) = sub { return }
        if attribute.isMany {
            try applyMany(word, attribute, target.filter, sub ?? nil, value)
        } else {
            guard target.filter == nil else {
                throw ProvisioningError(.invalidPath, "\(attribute.name) has one value, so there is none to choose.")
            }
            applyOne(word, attribute, sub ?? nil, value)
        }
    }

    /// The part's own name; `nil` for one that is let go.
    private func part(_ name: String, of attribute: ScimSchemas.Attribute) throws(ProvisioningError) -> String? {
        if let known = attribute.subs.first(where: { $0.name.lowercased() == name.lowercased() }) { return known.name }
        if attribute.name == "name", ScimSchemas.letGoOfName.contains(name.lowercased()) { return nil }
        if attribute.isMany, ["display", "primary", "type"].contains(name.lowercased()) { return nil }
        throw ProvisioningError(.invalidPath, "\(attribute.name) has no part \(name.prefix(60)).")
    }

    private mutating func applyOne(_ word: Word, _ attribute: ScimSchemas.Attribute, _ sub: String?, _ value: JSON?) {
        var parts = resource[attribute.name]?.object ?? [:]
        if let sub {
            Self.put(word == .remove ? .none : value, at: sub, in: &parts)
        } else if attribute.type == "complex", word != .remove, let given = value?.object {
            for known in attribute.subs {
                guard let found = ScimFilter.member(known.name, of: .object(given)) else { continue }
                Self.put(found.value, at: known.name, in: &parts)
            }
        } else {
            Self.put(word == .remove ? .none : value, at: attribute.name, in: &resource)
            return
        }
        Self.put(parts.isEmpty ? .none : .some(.object(parts)), at: attribute.name, in: &resource)
    }

    /// Nothing, and null, take away.
    private static func put(_ value: JSON?, at name: String, in members: inout [String: JSON]) {
        guard let value, value != .null else {
            members.removeValue(forKey: name)
            return
        }
        members[name] = value
    }

    private mutating func applyMany(
        _ word: Word, _ attribute: ScimSchemas.Attribute, _ filter: ScimFilter?, _ sub: String?, _ value: JSON?
    ) throws(ProvisioningError) {
        var values = resource[attribute.name]?.array ?? []
        let given = value.map { $0.array ?? [$0] } ?? []
        self.given += given.count
        guard given.count <= Self.mostValues.atOnce, self.given <= Self.mostValues.inAll else {
            throw ProvisioningError(
                .tooMany,
                "An operation has at most \(Self.mostValues.atOnce) values, and a patch \(Self.mostValues.inAll).")
        }
        guard filter != nil || sub != nil else {
            let before = known.removeValue(forKey: attribute.name)
            switch word {
            case .replace: values = given
            case .add:
                var seen = before ?? Set(values.map { Self.value(of: $0) })
                for new in given where seen.insert(Self.value(of: new)).inserted { values.append(new) }
                known[attribute.name] = seen
            case .remove:
                if given.isEmpty {
                    values = []
                } else {
                    let gone = Set(given.map { Self.value(of: $0) })
                    values.removeAll { gone.contains(Self.value(of: $0)) }
                }
            }
            Self.put(values.isEmpty ? .none : .some(.array(values)), at: attribute.name, in: &resource)
            return
        }
        known[attribute.name] = nil
        let chosen = values.indices.filter { index in filter?.matches(values[index]) ?? true }
        if chosen.isEmpty {
            switch (word, filter) {
            // It is gone already.
            case (.remove, _): return
            case (.add, .some(let filter)), (.replace, .some(let filter)):
                // A value that would fit is made, as Entra ID expects of add.
                guard word == .add, let made = Self.made(to: filter, sub, value) else {
                    throw ProvisioningError(.noTarget, "No value of \(attribute.name) fits the path's filter.")
                }
                values.append(made)
            case (_, nil):
                guard let sub, let value else { return }
                values.append(.object([sub: value]))
            }
        } else if word == .remove, sub == nil {
            let gone = Set(chosen)
            values = values.indices.filter { !gone.contains($0) }.map { values[$0] }
        } else {
            for index in chosen {
                var parts = values[index].object ?? [:]
                if let sub {
                    Self.put(word == .remove ? .none : value, at: sub, in: &parts)
                } else if let given = value?.object ?? value?.array?.first?.object {
                    parts.merge(given) { _, new in new }
                } else {
                    throw ProvisioningError(.invalidValue, "A value of \(attribute.name) must be an object.")
                }
                values[index] = .object(parts)
            }
        }
        Self.put(values.isEmpty ? .none : .some(.array(values)), at: attribute.name, in: &resource)
    }

    /// Values are the same when this is.
    private static func value(of json: JSON) -> String {
        (ScimFilter.member("value", of: json)?.value ?? json).string?.lowercased() ?? json.canonicalText
    }

    /// One that fits `type eq "work"`, with what is to stand in it.
    private static func made(to filter: ScimFilter, _ sub: String?, _ value: JSON?) -> JSON? {
        guard case .compare(let path, .eq, let wanted) = filter, path.sub == nil, let value else { return nil }
        var parts = sub.map { [$0: value] } ?? value.object ?? [:]
        parts[path.attribute] = wanted
        return .object(parts)
    }
}

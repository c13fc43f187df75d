import CommandLine
import Foundation
import Yams

/// The YAML file of settings: one flat mapping of keys to single values.
enum SettingsFile {
    /// `POSTERN_CONFIG`, else `./postern.yaml` when it is there.
    /// - Throws: `.usage` when the named file is missing or is not such a mapping.
    static func load(environment: [String: String]) throws(CommandFailure) -> (name: String, members: [String: String])?
    {
        let named = environment["POSTERN_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        let path = named ?? "postern.yaml"
        guard FileManager.default.fileExists(atPath: path) else {
            guard let named else { return nil }
            throw CommandFailure(.usage, "POSTERN_CONFIG names \(named), but there is no such file.")
        }
        guard let data = FileManager.default.contents(atPath: path), let text = String(validating: data, as: UTF8.self)
        else {
            throw CommandFailure(.usage, "\(path) can't be read as text.")
        }
        return (path, try members(text, of: path))
    }

    static func members(_ text: String, of path: String) throws(CommandFailure) -> [String: String] {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw CommandFailure(.usage, "\(path) is not valid YAML: \(error)")
        }
        guard let root else { return [:] }
        if root.scalar?.string.isEmpty == true { return [:] }
        guard let mapping = root.mapping else {
            throw CommandFailure(.usage, "\(path) must be a list of \"key: value\" lines.")
        }
        var members: [String: String] = [:]
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                throw CommandFailure(.usage, "\(path) holds a key that is not a word.")
            }
            let line = key.mark.map { " (line \($0.line))" } ?? ""
            if let scalar = value.scalar {
                members[name] = scalar.tag.description == "tag:yaml.org,2002:null" ? "" : scalar.string
            } else if let sequence = value.sequence, sequence.allSatisfy({ $0.scalar != nil }) {
                // A list of networks may stand as a YAML list.
                members[name] = sequence.compactMap { $0.scalar?.string }.joined(separator: ", ")
            } else {
                throw CommandFailure(.usage, "\(name) in \(path)\(line) must be a single value.")
            }
        }
        return members
    }
}

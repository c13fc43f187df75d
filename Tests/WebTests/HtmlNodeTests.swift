import Foundation
import HTML
import Kernel
import Testing

/// Nodes are stretches of sheets that are written on again and again: whatever is made in whatever order says what it would
/// say if every node were a text of its own.
@Suite struct HtmlNodeTests {
    /// As the elements are put together, without sheets.
    private static func element(_ tag: String, _ attributes: [(String, String)], _ inner: String) -> String {
        "<\(tag)\(attributes.map { " \($0.0)=\"\(escaped($0.1))\"" }.joined())>\(inner)</\(tag)>"
    }

    private static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "<": "&lt;"
            case ">": "&gt;"
            case "&": "&amp;"
            case "\"": "&quot;"
            case "'": "&#39;"
            default: String(character)
            }
        }.joined()
    }

    /// A small generator, so that a failure can be repeated.
    private struct Dice: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state ^ state >> 33) &* 0xFF51_AFD7_ED55_8CCD
        }
    }

    private static let words = [
        "", "a", "Tom & Jerry", "<b>", "it's \"so\"", "žluťoučký", String(repeating: "x'", count: 700),
    ]

    /// A tree whose parts are made before, inside and behind the elements they stand in, or twice, or for nothing.
    private static func tree(_ depth: Int, _ dice: inout Dice) -> (Node, String) {
        let word = words.randomElement(using: &dice) ?? ""
        guard depth > 0 else { return (Node(word), escaped(word)) }
        switch Int.random(in: 0..<7, using: &dice) {
        case 0:
            let (inner, text) = tree(depth - 1, &dice)
            return (el("p") { inner }, element("p", [], text))
        case 1:
            var inside = dice
            var text = ""
            func pair() -> (Node, Node) {
                let (a, first) = tree(depth - 1, &inside)
                let (b, second) = tree(depth - 1, &inside)
                text = first + second
                return (a, b)
            }
            let node = el("div", .class(word)) {
                let (a, b) = pair()
                a
                b
            }
            dice = inside
            return (node, element("div", [("class", word)], text))
        case 2:
            let (a, first) = tree(depth - 1, &dice)
            let (b, second) = tree(depth - 1, &dice)
            return (b + a + b, second + first + second)
        case 3:
            let (unused, _) = tree(depth - 1, &dice)
            let (inner, text) = tree(depth - 1, &dice)
            let node = el("td", .id("x"), .title(word)) {
                let _ = el("i") { unused }
                inner
                let _ = Node(word)
            }
            return (node, element("td", [("id", "x"), ("title", word)], text))
        case 4:
            var nodes: [Node] = []
            var texts: [String] = []
            for _ in 0..<3 {
                let (node, text) = tree(depth - 1, &dice)
                nodes.append(node)
                texts.append(text)
            }
            return (
                el("ul") { for node in nodes { el("li") { node } } },
                element("ul", [], texts.map { element("li", [], $0) }.joined())
            )
        case 5:
            return (
                el("input", .name(word), .value(word), .type("text")),
                element("input", [("name", word), ("value", word), ("type", "text")], "")
            )
        default:
            let (inner, text) = tree(depth - 1, &dice)
            return (Node.none + inner + Node.none + Node(word), text + escaped(word))
        }
    }

    @Test(arguments: 1...8)
    func `whatever is put together says what its parts say`(seed: UInt64) async {
        // On several threads at once, each with pages alive while the next are written.
        await withTaskGroup(of: [String].self) { group in
            for lane in 0..<4 as Range<UInt64> {
                group.addTask {
                    var dice = Dice(state: seed << 8 | lane)
                    var kept: [(Node, String)] = []
                    var wrong: [String] = []
                    for round in 0..<40 {
                        let (node, text) = Self.tree(5, &dice)
                        if node.text != text { wrong.append("round \(round): \(text.prefix(80))") }
                        if node.byteCount != text.utf8.count { wrong.append("round \(round) counts \(node.byteCount)") }
                        kept.append((node, text))
                        if kept.count > 20 { kept.removeFirst(kept.count / 2) }
                        await Task.yield()
                    }
                    wrong += kept.filter { $0.0.text != $0.1 }.map { "changed later: \($0.1.prefix(80))" }
                    return wrong
                }
            }
            for await wrong in group { #expect(wrong.isEmpty, "\(wrong.prefix(3))") }
        }
    }

    @Test func `a page larger than any sheet is whole`() {
        let rows = (0..<40_000).map { "row <\($0)> & more" }
        let page = el("main", .class("main")) {
            el("h1") { "Many" }
            el("ol") { for row in rows { el("li", .title(row)) { row } } }
        }
        let text = rows.map { "<li title=\"\(Self.escaped($0))\">\(Self.escaped($0))</li>" }.joined()
        #expect(page.text == "<main class=\"main\"><h1>Many</h1><ol>\(text)</ol></main>")
        // What comes behind it is written on a small one again.
        #expect(el("p") { "x" }.text == "<p>x</p>")
    }

    @Test func `a node of another thread stands in a page`() async {
        let made = await Task.detached { el("b") { "from <elsewhere>" } }.value
        let page = el("p") {
            "It came "
            made
            "."
        }
        #expect(page.text == "<p>It came <b>from &lt;elsewhere&gt;</b>.</p>")
    }

    @Test func `an empty node is empty however it was made`() {
        #expect(Node.none.isEmpty && Node("").isEmpty && (Node("") + Node.none).isEmpty)
        #expect(el("p") {}.text == "<p></p>")
        #expect(!el("p").isEmpty)
    }

    @Test func `times and numbers are written as they are said`() {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let now = Instant(microseconds: 1_795_000_000_000_000)
        var dice = Dice(state: 7)
        for _ in 0..<2000 {
            // Three hundred years either way, and a few that are far away.
            let reach: Int64 = Int.random(in: 0..<20, using: &dice) == 0 ? .max / 2 : 9_000_000_000_000_000
            let instant = Instant(microseconds: .random(in: -reach...reach, using: &dice))
            let (day, time) = instant.civil
            let date = "\(day.day) \(months[day.month - 1])"
            let minute = "\(two(time.hour)):\(two(time.minute))"
            #expect(TimeText.day(day) == "\(date) \(day.year)" && day.words == TimeText.day(day))
            #expect(TimeText.clock(instant) == "\(minute):\(two(time.second))")
            #expect(TimeText.utc(instant) == "\(date) \(day.year), \(minute):\(two(time.second)) UTC")
            #expect(TimeText.utcMinute(instant) == "\(date) \(day.year), \(minute) UTC")
            #expect(
                TimeText.short(instant, now: now)
                    == "\(date)\(day.year == now.day.year ? "" : " \(day.year)"), \(minute)")
            #expect(day.text == String(format: "%04d-%02d-%02d", day.year, day.month, day.day))
            let number = Int64.random(in: .min ... .max, using: &dice) >> Int64.random(in: 0..<63, using: &dice)
            #expect(Int64(Grouped.digits(number).filter { $0 != "," }.replacing("−", with: "-")) == number)
        }
        let lengths: [(Int64, String)] = [
            (0, "0 s"), (75, "75 s"), (600, "10 min"), (5400, "90 min"), (3600, "1 h"), (129_600, "36 h"),
            (86_400, "1 day"), (604_800, "7 days"),
        ]
        for (seconds, text) in lengths { #expect(TimeText.exactly(.seconds(seconds)) == text) }
        let spelled: [(Int64, String)] = [
            (0, "0"), (999, "999"), (1000, "1,000"), (-1000, "−1,000"), (-7, "−7"), (1_234_567, "1,234,567"),
            (.max, "9,223,372,036,854,775,807"), (.min, "−9,223,372,036,854,775,808"),
        ]
        for (number, text) in spelled { #expect(Grouped.digits(number) == text) }
    }
}

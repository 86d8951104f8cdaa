// Says each line of its input, and keeps in a file what it needs to go on after a death: node speaker.js URL FILE
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { RollcallClient } from "../index.js";

const [url, file] = process.argv.slice(2);
const client = new RollcallClient({
  url, name: "Ada", rooms: ["lobby"],
  saved: existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined,
  on: {
    serving: () => console.log("served"),
    changed: () => {
      writeFileSync(`${file}.new`, JSON.stringify(client));
      renameSync(`${file}.new`, file);
    },
    message: ({ text }) => console.log(`heard ${text}`),
    acked: (_, { text }) => console.log(`acked ${text}`),
    interrupted: () => console.log("interrupted"),
  },
});
createInterface({ input: process.stdin }).on("line", (text) => client.say("lobby", text) && console.log(`kept ${text}`));

// A bot that answers `!echo something` with it: node examples/echo.js http://127.0.0.1:8080
import { RollcallClient } from "../index.js";

const client = new RollcallClient({
  url: process.argv[2],
  name: "Echo",
  rooms: ["lobby"],
  token: process.env.ROLLCALL_TOKEN,
  on: {
    serving: ({ replica }) => console.log(`served by ${replica}`),
    message: (message) => {
      const [, said] = /^!echo (.+)$/su.exec(message.text) ?? [];
      if (said && !client.isOwn(message)) client.say(message.room, said);
    },
    refused: (room, item, detail) => console.warn(`not said in ${room}: ${detail}`),
    ended: (code, detail) => console.error(`ended with ${code}: ${detail}`),
  },
});
process.on("SIGINT", () => client.close());

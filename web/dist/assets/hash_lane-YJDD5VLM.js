addEventListener("message",async({data:e})=>{let{serveLane:a}=await import("./serve_lane-6LNAPPFV.js"),{portableHashes:t}=await import("./hashes-H2JGY26N.js");await a(e,t)},{once:!0});

addEventListener("message",async({data:e})=>{let{serveLane:a}=await import("./serve_lane-R2CDV4B7.js"),{portableHashes:t}=await import("./hashes-JOSTSYMG.js");await a(e,t)},{once:!0});
